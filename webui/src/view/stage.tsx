// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef } from 'preact/hooks';
import type { Input } from '../input';
import type { Options } from '../options';
import type { RunState } from '../use_run';
import { bytes_text } from '../text';
import type { Item } from '../work/queue';
import { Actions } from './actions';
import { FileButton, type OnFiles } from './choose';
import { Compare } from './compare';
import { ProblemView } from './problem_view';

interface Props {
  input: Input;
  options: Options;
  run: RunState;
  stored: Item | null;  // where the file goes to the stored jobs, and no result comes back
  on_files: OnFiles;
  on_close: () => void;
  on_retry: () => void;
}

function Progress({ run }: { run: RunState }) {
  const uploading = run.busy && run.sent < 1;
  const label = !run.busy ? '' : uploading ? `Uploading ${Math.floor(100 * run.sent)} %` : 'Equalizing …';
  return (
    <div class={`progress${run.busy ? ' busy' : ''}`}>
      {uploading && <progress max={1} value={run.sent} aria-label="Upload" />}
      {run.busy && !uploading && <progress aria-label="Equalizing" />}
      <span role="status">{label}</span>
    </div>
  );
}

function note(input: Input, run: RunState, stored: Item | null): string {
  if (stored) return stored.state === 'stored' ? `Stored as job ${stored.job}. Its result is saved from the list of jobs.` : '';
  const result = run.result;
  if (result?.preview_problem) return `The result is ready to download. There is no preview: ${result.preview_problem.title}.`;
  if (input.before_url !== null) return '';
  if (result) return 'Browsers cannot show this file as it is, so only the result is shown.';
  return run.busy ? 'Browsers cannot show this file as it is. The result will appear here.' : '';
}

export function Stage({ input, options, run, stored, on_files, on_close, on_retry }: Props) {
  const text = note(input, run, stored);
  const problem = run.busy ? null : stored ? stored.problem : run.problem;
  const heading = useRef<HTMLHeadingElement>(null);
  // The button that was pressed is gone: a reader by keyboard goes on from here.
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <section class="panel stage" aria-label="Image">
      <div class="panel-head file-bar">
        <h2 ref={heading} tabIndex={-1} title={input.filename}><bdi>{input.filename}</bdi></h2>
        <small>{input.format === 'other' ? 'unknown format' : input.format.toUpperCase()}, {bytes_text(input.blob.size)}</small>
        <FileButton on_files={on_files} label="Add files" kind="quiet" />
        <button type="button" class="quiet" onClick={on_close}>Close</button>
      </div>
      <div class={`canvas${problem ? ' failed' : ''}`} aria-busy={run.busy}>
        {problem
          ? <ProblemView problem={problem} on_retry={on_retry} />
          : <Compare key={input.before_url ?? input.filename} before_url={input.before_url} after_url={run.result?.preview_url ?? null} name={input.filename} />}
        <Progress run={run} />
        {text && <p class="note">{text}</p>}
      </div>
      <Actions input={input} options={options} result={run.result} busy={run.busy} />
    </section>
  );
}
