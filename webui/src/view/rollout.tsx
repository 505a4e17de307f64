// SPDX-License-Identifier: Apache-2.0
// A rollout from bare metal to workload: five lanes on one axis of time, live or played again.
import { useMemo, useState } from 'preact/hooks';
import { one_line } from '../feed/event';
import type { FeedSource, FeedState } from '../feed/source';
import { bar_of, k_layers, lane_status, rollout_runs, verdict, type Layer, type Resource, type Run, type Status } from '../model/rollout';
import { use_part } from '../observable';
import { date_text, took_text } from '../text';
import { use_clock } from '../use_media';
import { FeedEmpty } from './bits';
import { StatusIcon } from './status_icon';

const k_layer_words: Record<Layer, [string, string]> = {
  hardware: ['Hardware', 'Terraform'], os: ['Operating system', 'Tinkerbell, Ansible'], kubernetes: ['Kubernetes', 'kubeadm'],
  gitops: ['GitOps', 'Argo CD, Flux'], workload: ['Workload', 'Kubernetes, systemd'],
};

const k_status_words: Record<Status | 'waiting', string> = {
  running: 'running', succeeded: 'succeeded', changed: 'changed', skipped: 'skipped', failed: 'failed', ignored: 'failed, ignored', waiting: 'nothing yet',
};

interface Time {
  from_ms: number;
  until_ms: number;
}

function Bar({ resource, time }: { resource: Resource; time: Time }) {
  const { left, width } = bar_of(resource, time.from_ms, time.until_ms);
  const took_ms = resource.duration_ms ?? time.until_ms - resource.start_ms;
  return (
    <>
      <span class="track" aria-hidden="true"><i class={resource.status} style={{ left: `${left}%`, width: `${width}%` }} /></span>
      <span class="took">{took_text(Math.max(0, took_ms))}</span>
    </>
  );
}

function Line({ resource, time }: { resource: Resource; time: Time }) {
  return (
    <li class={`resource ${resource.status}`}>
      <StatusIcon status={resource.status} />
      <span class="resource-name" title={one_line(resource.message)}><bdi>{one_line(resource.name, 160)}</bdi></span>
      <span class="resource-tool">{one_line(resource.tool, 32)}{resource.hosts > 1 && ` ×${resource.hosts}`}</span>
      <Bar resource={resource} time={time} />
      {resource.error && <p class="resource-error"><bdi>{one_line(resource.error, 1_000)}</bdi></p>}
    </li>
  );
}

function Axis({ time }: { time: Time }) {
  return (
    <div class="axis" aria-hidden="true">
      <span>{[0, 1, 2, 3, 4].map((quarter) => <i key={quarter}>{quarter === 0 ? '0' : took_text(((time.until_ms - time.from_ms) * quarter) / 4)}</i>)}</span>
    </div>
  );
}

function Lane({ layer, lane, time }: { layer: Layer; lane: readonly Resource[]; time: Time }) {
  const status = lane_status(lane);
  const [title, tools] = k_layer_words[layer];
  const done = lane.filter((resource) => resource.status !== 'running' && resource.status !== 'failed').length;
  return (
    <section class={`lane ${status}`} aria-label={title}>
      <div class="lane-head">
        <StatusIcon status={status} />
        <h3>{title}</h3>
        <small>{lane.length > 0 ? `${done} of ${lane.length}, ${k_status_words[status]}` : 'nothing yet'}</small>
        <small class="lane-tools">{tools}</small>
      </div>
      <ul>{lane.map((resource) => <Line key={`${resource.tool} ${resource.name}`} resource={resource} time={time} />)}</ul>
    </section>
  );
}

const k_verdict_words = { failed: 'Failed', failing: 'Failing', running: 'Running', done: 'Done' };
const k_verdict_tones = { failed: 'bad', failing: 'bad', running: 'rollout', done: 'good' };

const run_name = (run: Run) => one_line(run.id, 80) || 'Without a name';

interface SummaryProps {
  run: Run;
  shown: Run;  // as it stood then
  at: number | null;
  ongoing: boolean;
}

function Summary({ run, shown, at, ongoing }: SummaryProps) {
  const { counts } = shown;
  const state = verdict(shown);
  const told = (['failed', 'ignored', 'running', 'succeeded', 'changed', 'skipped'] as const).filter((status) => counts[status] > 0);
  return (
    <p class="run-summary">
      <span class={`chip ${k_verdict_tones[state]}`}><i aria-hidden="true" />{k_verdict_words[state]}</span>
      {run.replay && <em class="replay">replay</em>}
      <span class="tag-live">{at !== null ? 'looked back' : ongoing ? 'live' : 'ended'}</span>
      <span>{date_text(run.start_ms)}</span><span>{took_text(shown.last_ms - shown.start_ms)}</span>
      <span>{told.map((status) => `${counts[status]} ${k_status_words[status]}`).join(' · ')}</span>
      {run.unlisted > 0 && <span>{run.unlisted} events of further resources are not shown</span>}
    </p>
  );
}

interface PickProps {
  runs: readonly Run[];
  run: Run;
  at: number | null;  // how much of the run is shown, 0 to 1000; null: all of it, and what is still to come
  on_run: (id: string) => void;
  on_at: (at: number | null) => void;
}

function Pick({ runs, run, at, on_run, on_at }: PickProps) {
  return (
    <div class="toolbar rollout-bar">
      <select aria-label="Rollout" value={run.id} onChange={(event) => on_run(event.currentTarget.value)}>
        {runs.map((one) => <option key={one.id} value={one.id}>{run_name(one)} · {k_verdict_words[verdict(one)]}{one.replay ? ' · replay' : ''}</option>)}
      </select>
      <label class="scrub"><span>Look back</span>
        <input type="range" min={0} max={1000} value={at ?? 1000} onInput={(event) => {
          const value = Number(event.currentTarget.value);
          on_at(value >= 1000 ? null : value);
        }} aria-valuetext={at === null ? 'Now' : `${Math.round(at / 10)} % of the run`} />
      </label>
      <button type="button" disabled={at === null} onClick={() => on_at(null)}>Now</button>
    </div>
  );
}

const events_of = (state: FeedState) => state.feed.rollout.events;

function Shown({ runs, events, active }: { runs: readonly Run[]; events: ReturnType<typeof events_of>; active: boolean }) {
  const [id, set_id] = useState<string | null>(null);
  const [at, set_at] = useState<number | null>(null);
  const run = runs.find((one) => one.id === id) ?? runs[0]!;
  const ongoing = run.counts.running > 0 && !run.replay;
  const clock_ms = use_clock(active && ongoing && at === null);
  const end_ms = ongoing ? Math.max(run.last_ms, clock_ms) : run.last_ms;
  const until_ms = at === null ? end_ms : run.start_ms + ((run.last_ms - run.start_ms) * at) / 1000;
  const shown = useMemo(() => {
    if (at === null) return run;
    return rollout_runs(events.filter((event) => event.rolloutid === run.id), until_ms)[0] ?? run;
  }, [run, at, events]);
  const time = { from_ms: run.start_ms, until_ms: at === null ? end_ms : Math.max(run.start_ms + 1, until_ms) };
  return (
    <>
      <Pick runs={runs} run={run} at={at} on_run={(next) => (set_id(next), set_at(null))} on_at={set_at} />
      <Summary run={run} shown={shown} at={at} ongoing={ongoing} />
      <div class="panel lanes">
        <Axis time={time} />
        {k_layers.map((layer) => <Lane key={layer} layer={layer} lane={shown.lanes[layer]} time={time} />)}
      </div>
    </>
  );
}

export function Rollout({ feed, active }: { feed: FeedSource; active: boolean }) {
  const events = use_part(feed, events_of, active);
  const link = use_part(feed, (state) => state.link, active);
  const runs = useMemo(() => rollout_runs(events), [events]);
  return (
    <div class="view view-rollout">
      <h2 class="off-screen">Rollout</h2>
      {runs.length > 0 ? <Shown runs={runs} events={events} active={active} /> : (
        <div class="panel">
          <FeedEmpty link={link} title="No rollout has told anything yet">
            Terraform, Tinkerbell, Ansible, kubeadm, Argo CD and Flux are followed as soon as they send their events to <code>/v1/events</code>;
            a recorded one is told again by <code>histoctl events replay</code>.
          </FeedEmpty>
        </div>
      )}
    </div>
  );
}
