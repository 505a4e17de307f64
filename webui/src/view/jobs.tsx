// SPDX-License-Identifier: Apache-2.0
// Stored jobs of the whole fleet, and its datasets.
import { useEffect, useRef, useState } from 'preact/hooks';
import { delete_at, get_blob, get_json, type Answer } from '../api';
import { one_line } from '../feed/event';
import type { FeedSource } from '../feed/source';
import { is_open, job_ms, job_name, node_shares, progress_share, type Dataset, type DatasetList, type Job, type JobList } from '../model/jobs';
import { use_part } from '../observable';
import type { Problem } from '../problem';
import { result_filename, format_of_media_type } from '../sniff';
import { bytes_text, number_text, took_text } from '../text';
import { use_clock } from '../use_media';
import { Gauge, ProblemLine } from './bits';

const k_poll_ms = 3_000;

// Asked again each three seconds, and when the feed tells of a job.
function use_list<T>(path: string, token: string, active: boolean, news: number): { value: T | null; problem: Problem | null; ask: () => void } {
  const [answer, set_answer] = useState<Answer<T> | null>(null);
  const value = useRef<T | null>(null);
  const ask = async () => {
    const next = await get_json<T>(path, token);
    if (next.ok) value.current = next.value;
    set_answer(next);
  };
  useEffect(() => {
    if (!active) return;
    const look = () => document.visibilityState === 'visible' && void ask();
    look();
    const timer = setInterval(look, k_poll_ms);
    return () => clearInterval(timer);
  }, [active, news]);
  return { value: value.current, problem: answer && !answer.ok ? answer.problem : null, ask: () => void ask() };
}

async function save(job: Job, token: string): Promise<Problem | null> {
  const answer = await get_blob(`/v1/jobs/${encodeURIComponent(job.id)}/result`, token);
  if (!answer.ok) return answer.problem;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(answer.value);
  link.download = result_filename(job_name(job), format_of_media_type(job.result?.media_type ?? answer.value.type));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return null;
}

const k_tones: Record<string, string> = { queued: 'muted', running: 'rollout', counted: 'plain', done: 'good', failed: 'bad', cancelled: 'muted' };

interface RowProps {
  job: Job;
  token: string;
  now_ms: number;
  on_problem: (problem: Problem | null) => void;
  on_changed: () => void;
}

function JobRow({ job, token, now_ms, on_problem, on_changed }: RowProps) {
  const [busy, set_busy] = useState(false);
  const open = is_open(job.state);
  const name = one_line(job_name(job), 120);
  const took_ms = job_ms(job, now_ms);
  const act = async (work: () => Promise<Problem | null>) => {
    set_busy(true);
    on_problem(await work());
    set_busy(false);
    on_changed();
  };
  const drop = async () => {
    const answer = await delete_at(`/v1/jobs/${encodeURIComponent(job.id)}`, token);
    return answer.ok ? null : answer.problem;
  };
  const size = job.input?.width ? `${number_text(job.input.width)} × ${number_text(job.input.height)}` : '';
  const facts = [job.node ?? '', size, job.input?.bytes ? bytes_text(job.input.bytes) : ''].filter(Boolean).map((fact) => one_line(fact, 64));
  return (
    <li class="job">
      <span class={`chip ${k_tones[job.state] ?? 'muted'}`}><i aria-hidden="true" />{one_line(job.state, 20)}</span>
      <span class="job-name" title={job.id}><bdi>{name}</bdi><small class={job.error ? 'bad' : ''}>{job.error ? one_line(job.error.detail || job.error.title || '', 200) : facts.join(' · ')}</small></span>
      <span class="job-took">{took_ms === null ? '' : took_text(took_ms)}</span>
      {job.result
        ? <button type="button" class="quiet" disabled={busy} aria-label={`Save the result of ${name}`} onClick={() => void act(() => save(job, token))}>Save</button>
        : <span class="quiet button gone" aria-hidden="true">Save</span>}
      <button type="button" class="quiet" disabled={busy} aria-label={`${open ? 'Cancel' : 'Delete'} ${name}`} onClick={() => void act(drop)}>{open ? 'Cancel' : 'Delete'}</button>
    </li>
  );
}

interface Props {
  token: string;
  feed: FeedSource;
  active: boolean;
}

function use_news(feed: FeedSource, active: boolean): number {
  const last = use_part(feed, ({ feed: now }) => {
    for (let i = now.all.events.length - 1; i >= Math.max(0, now.all.events.length - 200); i--) {
      if (now.all.events[i]!.kind === 'job') return now.all.events[i]!.time_ms;
    }
    return 0;
  }, active);
  return Math.floor(last / 1000);
}

export function Jobs({ token, feed, active }: Props) {
  const { value, problem, ask } = use_list<JobList>('/v1/jobs?limit=50', token, active, use_news(feed, active));
  const [failed, set_failed] = useState<Problem | null>(null);
  const jobs = value?.jobs ?? [];
  const open = jobs.filter((job) => is_open(job.state)).length;
  const now_ms = use_clock(active && open > 0);
  return (
    <section class="panel jobs" aria-label="Jobs">
      <div class="panel-head"><h3>Jobs</h3><small>{open > 0 ? `${open} open · ` : ''}{number_text(jobs.length)} shown</small></div>
      {(failed ?? problem) && <ProblemLine problem={(failed ?? problem)!} />}
      {value?.unreachable && value.unreachable.length > 0 && <p class="field-error">No answer from {one_line(value.unreachable.join(', '), 200)}: their jobs are missing here.</p>}
      {jobs.length === 0 && !problem && <p class="help">{value ? 'No stored jobs. Choose “As stored jobs” and drop files, or POST /v1/jobs.' : 'Asking …'}</p>}
      <ul>{jobs.map((job) => <JobRow key={job.id} job={job} token={token} now_ms={now_ms} on_problem={set_failed} on_changed={ask} />)}</ul>
    </section>
  );
}

function DatasetRow({ dataset }: { dataset: Dataset }) {
  const share = progress_share(dataset);
  const phase = one_line(dataset.progress?.phase ?? 'idle', 24);
  const name = one_line(dataset.name || dataset.id, 120);
  const applying = phase === 'applying';
  return (
    <li class="dataset">
      <div class="dataset-head">
        <b><bdi>{name}</bdi></b>
        <small>{phase === 'idle' ? `${number_text(dataset.images?.total ?? 0)} images` : `${phase} ${number_text(dataset.progress?.items_done)} of ${number_text(dataset.progress?.items_total)}`}</small>
        <small>{dataset.lut ? `table ${dataset.lut.revision ?? ''}${dataset.lut.stale ? ', stale' : ''}` : 'no table yet'}</small>
      </div>
      <progress max={1} value={share} aria-label={`${name}: ${phase}`} />
      <ul class="dataset-nodes">
        {node_shares(dataset).map((node) => {
          const done = applying || phase === 'idle' && dataset.lut ? node.done : node.counted;
          return (
            <li key={node.name}>
              <span>{one_line(node.name, 40)}</span>
              <Gauge value={node.reachable ? done : 0} most={node.total} label={`${one_line(node.name, 40)}: ${done} of ${node.total}`} />
              <span class="count">{node.reachable ? `${number_text(done)} / ${number_text(node.total)}` : 'no answer'}{node.failed > 0 && <em class="bad"> {node.failed} failed</em>}</span>
            </li>
          );
        })}
      </ul>
    </li>
  );
}

export function Datasets({ token, feed, active }: Props) {
  const { value, problem } = use_list<DatasetList>('/v1/datasets?limit=20', token, active, use_news(feed, active));
  const datasets = value?.datasets ?? [];
  return (
    <section class="panel datasets" aria-label="Datasets">
      <div class="panel-head"><h3>Datasets</h3><small>{number_text(datasets.length)} shown</small></div>
      {problem && <ProblemLine problem={problem} />}
      {datasets.length === 0 && !problem && <p class="help">{value ? 'No datasets. Make one: histoctl dataset create NAME.' : 'Asking …'}</p>}
      <ul>{datasets.map((dataset) => <DatasetRow key={dataset.id} dataset={dataset} />)}</ul>
    </section>
  );
}
