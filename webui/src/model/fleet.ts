// SPDX-License-Identifier: Apache-2.0
// The fleet as /v1/cluster, /v1/nodes, /v1/datasets and the feed tell it.
import type { NodeState, WorkerState } from '../api';
import type { FeedEvent } from '../feed/event';
import type { Feed } from '../feed/history';
import { is_open, type Dataset, type Job } from './jobs';

export interface Member {
  name: string;
  id?: string;
  url?: string;
  version?: string;
  cpus?: number;
  self?: boolean;
  leader?: boolean;
}

export interface Cluster {
  node_name?: string;
  role?: string;
  zookeeper?: {
    state?: string;
    since?: string;
    embedded?: boolean;
    servers?: string[];
    session_id?: string;
    session_timeout_ms?: number;
    trouble?: string;
  };
  leader?: { name?: string | null; epoch?: number };
  members?: Member[];
  min_nodes?: number;
  alert?: boolean;
  alert_detail?: string;
  intruders?: string[];
  counts?: { elections_won?: number; sessions?: number; suspensions?: number; session_losses?: number };
}

export type SessionState = 'OK' | 'SUSPENDED' | 'LOST' | 'CONNECTING' | 'UNKNOWN';

export interface SessionWord {
  state: SessionState;
  text: string;  // the original's words
  tone: 'good' | 'warn' | 'bad' | 'muted';
}

const k_words: Record<SessionState, SessionWord> = {
  OK: { state: 'OK', text: 'OK', tone: 'good' },
  SUSPENDED: { state: 'SUSPENDED', text: 'WARNING: SUSPENDED', tone: 'warn' },
  LOST: { state: 'LOST', text: 'LOST', tone: 'bad' },
  CONNECTING: { state: 'CONNECTING', text: 'CONNECTING', tone: 'warn' },
  UNKNOWN: { state: 'UNKNOWN', text: 'not known', tone: 'muted' },
};

export function session_word(state: string | undefined): SessionWord {
  const name = state?.toUpperCase() === 'CONNECTED' ? 'OK' : (state?.toUpperCase() ?? '');
  return k_words[name as SessionState] ?? k_words.UNKNOWN;
}

// A member is there by its session. What it last said of it may be older than the list of members.
export function member_session(member: Member, cluster: Cluster, told: ReadonlyMap<string, FeedEvent>): SessionWord {
  if (member.self) return session_word(cluster.zookeeper?.state);
  const word = told.get(member.name)?.type.split('.').pop();
  return word === 'suspended' ? k_words.SUSPENDED : k_words.OK;
}

export interface Sample {
  at_ms: number;
  images: number;  // since the node's start, as all below
  busy_s: number;  // spent on images, all steps
  requests: number;
  leased_bytes: number;  // now
  budget_bytes: number;
}

const sum_of = (workers: readonly WorkerState[], of: (worker: WorkerState) => number | undefined) =>
  workers.reduce((sum, worker) => sum + (of(worker) ?? 0), 0);

export function sample_of(node: NodeState, at_ms: number): Sample {
  const workers = node.workers ?? [];
  return {
    at_ms,
    images: sum_of(workers, (worker) => worker.images),
    busy_s: sum_of(workers, (worker) => worker.images_busy_ns) / 1e9,
    requests: sum_of(workers, (worker) => worker.requests),
    leased_bytes: sum_of(workers, (worker) => worker.leased_bytes),
    budget_bytes: sum_of(workers, (worker) => worker.budget_bytes),
  };
}

export const k_samples_max = 91;  // three minutes, one each two seconds

// A node that was started again counts from 0: what was before is of no use.
export function with_sample(samples: readonly Sample[], next: Sample): readonly Sample[] {
  const last = samples[samples.length - 1];
  if (last && (next.images < last.images || next.requests < last.requests)) return [next];
  return [...samples, next].slice(-k_samples_max);
}

// What a node says of itself, now and lately.
export interface NodeReport {
  node: NodeState;
  samples: readonly Sample[];
}

export interface NodeList {
  nodes?: NodeState[];
  unreachable?: string[];
}

// By name. Nodes that do not answer are left out, and begin anew.
export function with_reports(before: ReadonlyMap<string, NodeReport>, list: NodeList, at_ms: number): ReadonlyMap<string, NodeReport> {
  const all = (list.nodes ?? []).map((node): [string, NodeReport] => {
    const name = node.node_name ?? '';
    return [name, { node, samples: with_sample(before.get(name)?.samples ?? [], sample_of(node, at_ms)) }];
  });
  return new Map(all);
}

export interface Trend {
  images_per_s: number[];
  ms_per_image: Array<number | null>;  // null: there was no image
  requests_per_s: number[];
  memory: number[];  // share of the budget, 0 to 1
}

export function trend_of(samples: readonly Sample[]): Trend {
  const trend: Trend = { images_per_s: [], ms_per_image: [], requests_per_s: [], memory: [] };
  for (let i = 1; i < samples.length; i++) {
    const [a, b] = [samples[i - 1]!, samples[i]!];
    const seconds = Math.max(0.001, (b.at_ms - a.at_ms) / 1000);
    const images = b.images - a.images;
    trend.images_per_s.push(images / seconds);
    trend.ms_per_image.push(images > 0 && b.busy_s >= a.busy_s ? (1000 * (b.busy_s - a.busy_s)) / images : null);
    trend.requests_per_s.push((b.requests - a.requests) / seconds);
    trend.memory.push(b.budget_bytes > 0 ? b.leased_bytes / b.budget_bytes : 0);
  }
  return trend;
}

export interface NumaNode {
  index: number;
  workers: WorkerState[];
  compute_cpus: number[];
  threads: number;
}

// The node's CPUs by NUMA node: event loops, and those that compute.
export function numa_map(node: NodeState): NumaNode[] {
  const nodes = new Map<number, NumaNode>();
  const at = (index: number) => {
    const known = nodes.get(index) ?? { index, workers: [], compute_cpus: [], threads: 0 };
    nodes.set(index, known);
    return known;
  };
  for (const worker of node.workers ?? []) at(Math.max(0, worker.numa_node ?? 0)).workers.push(worker);
  for (const arena of node.arenas ?? []) {
    const place = at(Math.max(0, arena.numa_node ?? 0));
    place.compute_cpus.push(...(arena.cpus ?? []));
    place.threads += arena.threads ?? 0;
  }
  return [...nodes.values()].sort((a, b) => a.index - b.index);
}

// What the fleet's lists and the feed tell of any node, whether it is the one that is asked or not.
export interface Known {
  open_jobs: number;
  images: number;  // of datasets, held there
  errors: number;  // among the lines of its log that are kept here
  heard_ms: number | null;  // its latest event
}

export function known_of(name: string, jobs: readonly Job[], datasets: readonly Dataset[], feed: Feed): Known {
  const parts = datasets.flatMap((dataset) => dataset.nodes ?? []).filter((part) => part.name === name);
  return {
    open_jobs: jobs.filter((job) => job.node === name && is_open(job.state)).length,
    images: parts.reduce((sum, part) => sum + (part.images?.total ?? 0), 0),
    errors: (feed.logs.get(name)?.events ?? []).filter((event) => event.severity === 'error').length,
    heard_ms: feed.heard.get(name) ?? null,
  };
}

export interface Holding {
  dataset: string;
  id: string;
  total: number;
  parts: Array<{ node: string; reachable: boolean; images: number; bytes: number }>;
}

// Which node holds how many images of which dataset; the columns are the nodes.
export function holdings(datasets: readonly Dataset[]): { nodes: string[]; rows: Holding[] } {
  const nodes = new Set<string>();
  const rows = datasets.map((dataset): Holding => {
    const parts = (dataset.nodes ?? []).map((part) => ({
      node: part.name ?? '', reachable: part.reachable ?? false, images: part.images?.total ?? 0, bytes: part.images?.bytes ?? 0,
    }));
    for (const part of parts) nodes.add(part.node);
    return { dataset: dataset.name || dataset.id, id: dataset.id, total: dataset.images?.total ?? 0, parts };
  });
  return { nodes: [...nodes].sort(), rows };
}
