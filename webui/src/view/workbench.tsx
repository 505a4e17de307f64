// SPDX-License-Identifier: Apache-2.0
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FeedSource } from '../feed/source';
import { axis_top, chart_series, lut_curve } from '../histogram';
import { read_input, release_input, type Input } from '../input';
import { k_default_options, type Options } from '../options';
import { use_run, type RunState } from '../use_run';
import type { Session } from '../use_session';
import { chosen_item, done_with, failed_by, run_key, type Item } from '../work/queue';
import { use_queue, type QueueControl } from '../work/use_queue';
import { Chart } from './chart';
import { DropZone, use_drop_and_paste } from './choose';
import { Controls } from './controls';
import { CurveChart } from './curve_chart';
import { FileList } from './file_list';
import { Datasets, Jobs } from './jobs';
import { Numbers } from './numbers';
import { Provenance } from './provenance';
import { Stage } from './stage';

function Details({ input, run }: { input: Input; run: RunState }) {
  const color = run.result?.options.color ?? '';
  const clahe = run.result?.options.method === 'clahe';
  const before = useMemo(() => run.before && chart_series(run.before, color), [run.before]);
  const after = useMemo(() => run.after && chart_series(run.after, color), [run.after]);
  const curve = useMemo(() => (run.before && !clahe ? lut_curve(run.before, color) : null), [run.before, clahe]);
  const top = useMemo(() => axis_top([before, after]), [before, after]);
  return (
    <section class="details" aria-label="Measurements">
      {run.count_problem && (
        <p class="panel field-error wide" role="alert">The histogram is missing: {run.count_problem.title}. {run.count_problem.detail}</p>
      )}
      <Chart title="Before" series={before} top={top} />
      <CurveChart curve={curve} clahe={clahe} />
      <Chart title="After" series={after} top={top} />
      <Numbers before={run.before} after={run.after} color={color} before_bytes={input.blob.size} after_bytes={run.result?.blob.size ?? null} />
      <Provenance digest={run.result?.digest ?? ''} timing={run.result?.timing ?? null} />
    </section>
  );
}

// The chosen file, read; null while it is being read.
function use_input(item: Item | null): Input | null {
  const [input, set_input] = useState<Input | null>(null);
  const newest = useRef(0);
  const blob = item?.blob ?? null;
  useEffect(() => {
    const mine = ++newest.current;
    if (!item) return set_input(null);
    void read_input(item.blob, item.filename).then((read) => (mine === newest.current ? set_input(read) : release_input(read)));
  }, [blob]);
  useEffect(() => () => release_input(input), [input]);
  return input?.blob === blob ? input : null;
}

// What the stage makes of the chosen file is the queue's, too.
function use_report(control: QueueControl, item: Item | null, input: Input | null, run: RunState) {
  useEffect(() => {
    const result = run.result;
    if (item && result && result.input === input) control.change(item.key, done_with(run_key(result.options), result.image));
  }, [run.result]);
  useEffect(() => {
    if (item && run.problem) control.change(item.key, failed_by(run.problem));
  }, [run.problem]);
}

interface Props {
  session: Session;
  feed: FeedSource;
  active: boolean;
}

export function Workbench({ session, feed, active }: Props) {
  const [options, set_options] = useState<Options>(k_default_options);
  const [attempt, set_attempt] = useState(0);
  const upload_bytes = session.node?.limits?.upload_bytes ?? Infinity;
  const { token } = session;
  const control = use_queue({ options, token, upload_bytes });
  const item = chosen_item(control.queue);
  const input = use_input(item);
  const at_once = options.delivery === 'now';
  const known = item && item.run === run_key(options) ? item.image : null;
  const run = use_run({ input: at_once ? input : null, options, token, upload_bytes, attempt, known });
  use_report(control, item, input, run);
  const dragging = use_drop_and_paste((files) => {
    control.add(files);
    location.hash = '#work';
  });
  useEffect(() => {
    if (run.problem?.status === 401) session.sign_out('The server no longer accepts this token. Sign in again.');
  }, [run.problem]);
  const many = control.queue.items.length > 1 || (item !== null && !at_once);
  return (
    <div class={`workbench${many ? ' many' : ''}`}>
      <h2 class="off-screen">Work</h2>
      {item && input
        ? <Stage input={input} options={options} run={run} stored={at_once ? null : item} on_files={control.add} on_close={() => control.remove(item.key)}
            on_retry={() => set_attempt(attempt + 1)} />
        : <DropZone on_files={control.add} />}
      {many && <FileList control={control} options={options} shown={run} />}
      <aside class="panel side" aria-label="Options">
        <Controls options={options} on_change={set_options} />
      </aside>
      {input && at_once && !run.problem && <Details input={input} run={run} />}
      <div class="stored">
        <Jobs token={token} feed={feed} active={active} />
        <Datasets token={token} feed={feed} active={active} />
      </div>
      {dragging && <div class="drop-overlay" aria-hidden="true">Drop images to equalize them</div>}
    </div>
  );
}
