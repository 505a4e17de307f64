// SPDX-License-Identifier: Apache-2.0
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { axis_top, chart_series } from '../histogram';
import { read_input, release_input, type Input } from '../input';
import { k_default_options, type Options } from '../options';
import { use_run, type RunState } from '../use_run';
import type { Session } from '../use_session';
import { Chart } from './chart';
import { DropZone, use_drop_and_paste } from './choose';
import { Controls } from './controls';
import { Numbers } from './numbers';
import { Provenance } from './provenance';
import { Stage } from './stage';

function Details({ input, run }: { input: Input; run: RunState }) {
  const color = run.result?.options.color ?? '';
  const before = useMemo(() => run.before && chart_series(run.before, color), [run.before]);
  const after = useMemo(() => run.after && chart_series(run.after, color), [run.after]);
  const top = useMemo(() => axis_top([before, after]), [before, after]);
  return (
    <section class="details" aria-label="Measurements">
      {run.count_problem && (
        <p class="panel field-error wide" role="alert">The histogram is missing: {run.count_problem.title}. {run.count_problem.detail}</p>
      )}
      <Chart title="Before" series={before} top={top} />
      <Chart title="After" series={after} top={top} />
      <Numbers before={run.before} after={run.after} color={color} before_bytes={input.blob.size} after_bytes={run.result?.blob.size ?? null} />
      <Provenance digest={run.result?.digest ?? ''} timing={run.result?.timing ?? null} />
    </section>
  );
}

function use_input(): [Input | null, (blob: Blob, filename: string) => void, () => void] {
  const [input, set_input] = useState<Input | null>(null);
  const newest = useRef(0);
  const choose = (blob: Blob, filename: string) => {
    const mine = ++newest.current;
    void read_input(blob, filename).then((read) => (mine === newest.current ? set_input(read) : release_input(read)));
  };
  const clear = () => {
    newest.current++;
    set_input(null);
  };
  useEffect(() => () => release_input(input), [input]);
  return [input, choose, clear];
}

export function Workbench({ session }: { session: Session }) {
  const [input, choose, clear] = use_input();
  const [options, set_options] = useState<Options>(k_default_options);
  const [attempt, set_attempt] = useState(0);
  const upload_bytes = session.node?.limits?.upload_bytes ?? Infinity;
  const run = use_run({ input, options, token: session.token, upload_bytes, attempt });
  const dragging = use_drop_and_paste(choose);
  useEffect(() => {
    if (run.problem?.status === 401) session.sign_out('The server no longer accepts this token. Sign in again.');
  }, [run.problem]);
  return (
    <main class="workbench">
      {input
        ? <Stage input={input} options={options} run={run} on_file={choose} on_clear={clear} on_retry={() => set_attempt(attempt + 1)} />
        : <DropZone on_file={choose} />}
      <aside class="panel side">
        <Controls options={options} on_change={set_options} />
      </aside>
      {input && !run.problem && <Details input={input} run={run} />}
      {dragging && <div class="drop-overlay" aria-hidden="true">Drop the image to equalize it</div>}
    </main>
  );
}
