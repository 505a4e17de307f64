// SPDX-License-Identifier: Apache-2.0
import type { NodeState, WorkerState } from '../api';
import { one_line } from '../feed/event';
import { numa_map, trend_of, type Known, type Member, type NodeReport, type SessionWord } from '../model/fleet';
import { bytes_text, duration_text, ms_text, number_text } from '../text';
import { Chip, Gauge, Spark } from './bits';

const share_of = ({ leased_bytes = 0, budget_bytes = 0 }: WorkerState) => (budget_bytes > 0 ? leased_bytes / budget_bytes : 0);

// -1: the kernel places it.
const is_pinned = ({ cpu = -1 }: WorkerState) => cpu >= 0;

function Cpu({ worker }: { worker: WorkerState }) {
  const share = share_of(worker);
  const title = `${is_pinned(worker) ? `CPU ${worker.cpu}` : 'Not pinned to a CPU'}: event loop, ${Math.round(100 * share)} % of its slabs leased, ${bytes_text(worker.bytes_in_flight ?? 0)} in flight, ${number_text(worker.images)} images`;
  return (
    <li class="cpu loop" title={title}>
      <i aria-hidden="true" style={{ height: `${Math.round(100 * share)}%` }} /><span>{is_pinned(worker) ? worker.cpu : 'any'}</span>
    </li>
  );
}

function Numa({ node }: { node: NodeState }) {
  return (
    <div class="numa">
      {numa_map(node).map(({ index, workers, compute_cpus, threads }) => (
        <div key={index} class="numa-node">
          <span class="numa-label">NUMA {index}</span>
          <ul aria-label={`CPUs of NUMA node ${index}`}>
            {workers.map((worker, i) => <Cpu key={i} worker={worker} />)}
            {compute_cpus.map((cpu) => <li key={`c${cpu}`} class="cpu compute" title={`CPU ${cpu}: one of ${threads} compute threads`}><span>{cpu}</span></li>)}
          </ul>
        </div>
      ))}
    </div>
  );
}

function Slabs({ workers }: { workers: readonly WorkerState[] }) {
  const leased = workers.reduce((sum, worker) => sum + (worker.leased_bytes ?? 0), 0);
  const budget = workers.reduce((sum, worker) => sum + (worker.budget_bytes ?? 0), 0);
  const flight = workers.reduce((sum, worker) => sum + (worker.bytes_in_flight ?? 0), 0);
  return (
    <div class="slabs">
      <span>Slabs</span>
      <Gauge value={leased} most={budget} label="Slab memory leased, in bytes" />
      <b>{bytes_text(leased)} of {bytes_text(budget)}</b><small>{bytes_text(flight)} in flight · {workers[0]?.pages ?? ''} pages</small>
    </div>
  );
}

const last = <T,>(values: readonly T[]) => values[values.length - 1];

function Load({ node, samples }: NodeReport) {
  const trend = trend_of(samples);
  const latency = last(trend.ms_per_image.filter((value) => value !== null)) ?? null;
  return (
    <>
      <Numa node={node} />
      <Slabs workers={node.workers ?? []} />
      <div class="sparks">
        <Spark label="Images/s" values={trend.images_per_s} text={number_text(last(trend.images_per_s), 1)} />
        <Spark label="Per image" values={trend.ms_per_image} text={latency === null ? '–' : ms_text(latency)} tone="second" />
        <Spark label="Requests/s" values={trend.requests_per_s} text={number_text(last(trend.requests_per_s), 1)} />
      </div>
    </>
  );
}

function role_of(member: Member): string {
  return member.leader ? 'Leader' : 'Member';
}

function Stats({ known, now_ms }: { known: Known; now_ms: number }) {
  const ago_s = known.heard_ms === null ? null : Math.max(0, Math.floor((now_ms - known.heard_ms) / 1000));
  const all: Array<[string, string, string]> = [
    ['Open jobs', number_text(known.open_jobs), ''], ['Images held', number_text(known.images), ''],
    ['Log errors', number_text(known.errors), known.errors > 0 ? 'bad' : ''], ['Last event', ago_s === null ? '–' : ago_s === 0 ? 'now' : `${duration_text(ago_s)} ago`, ''],
  ];
  return <dl class="stats">{all.map(([name, value, tone]) => <div key={name}><dt>{name}</dt><dd class={tone}>{value}</dd></div>)}</dl>;
}

interface Props {
  member: Member;
  session: SessionWord;
  known: Known;
  now_ms: number;
  report: NodeReport | undefined;  // what it says of itself; none: it does not answer
  asked: boolean;  // false: the first answers are awaited
}

export function NodeCard({ member, session, known, now_ms, report, asked }: Props) {
  const node = report?.node;
  const facts = [
    `${number_text(member.cpus)} CPUs`, member.version && `v${member.version}`, node?.backend, node?.isa, node?.uptime_s !== undefined && `up ${duration_text(node.uptime_s)}`,
  ].filter(Boolean);
  return (
    <section class={`panel node-card${member.leader ? ' leads' : ''}`} aria-label={`Node ${member.name}`}>
      <div class="panel-head">
        <h3><bdi>{one_line(member.name, 64)}</bdi></h3>
        {member.self && <small>this node</small>}
        <span class={`role ${member.leader ? 'leader' : ''}`}>{role_of(member)}</span>
        <Chip tone={session.tone} title={`ZooKeeper Connection: ${session.text}`}>ZK {session.text}</Chip>
      </div>
      <p class="help node-facts">{facts.join(' · ')}</p>
      {member.url && <p class="help node-url"><code>{one_line(member.url, 120)}</code></p>}
      <Stats known={known} now_ms={now_ms} />
      {report ? <Load {...report} /> : <p class="help elsewhere">{asked ? 'It does not say what it does: it is asked again each two seconds.' : 'Asking …'}</p>}
    </section>
  );
}

