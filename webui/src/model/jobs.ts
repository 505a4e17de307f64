// SPDX-License-Identifier: Apache-2.0
// Stored jobs and datasets as the API tells them.

export const k_job_states = ['queued', 'running', 'counted', 'done', 'failed', 'cancelled'] as const;
export type JobState = (typeof k_job_states)[number];

export interface Job {
  id: string;
  state: string;
  node?: string;
  dataset?: string;
  created_at?: string;
  started_at?: string | null;
  finished_at?: string | null;
  options?: Record<string, unknown>;
  input?: { bytes?: number; format?: string; width?: number; height?: number; filename?: string; file?: string };
  result?: { bytes?: number; media_type?: string; href?: string };
  error?: { title?: string; detail?: string };
  attempts?: number;
}

export interface JobList {
  jobs?: Job[];
  unreachable?: string[];
}

export interface Dataset {
  id: string;
  name?: string;
  created_at?: string;
  options?: Record<string, unknown>;
  images?: Partial<Record<string, number>>;
  lut?: { revision?: number; digest?: string; stale?: boolean } | null;
  nodes?: Array<{ name?: string; reachable?: boolean; images?: Partial<Record<string, number>> }>;
  progress?: { phase?: string; items_done?: number; items_total?: number; bytes_done?: number; bytes_total?: number };
}

export interface DatasetList {
  datasets?: Dataset[];
  unreachable?: string[];
}

export const is_open = (state: string) => state === 'queued' || state === 'running';

export const job_name = ({ id, input }: Job) => input?.filename || input?.file?.split('/').pop() || id;

// How long it took, or has taken by now; null before it starts, and where nobody says when it ended.
export function job_ms(job: Job, now_ms: number): number | null {
  const start = Date.parse(job.started_at ?? '');
  if (Number.isNaN(start)) return null;
  const end = Date.parse(job.finished_at ?? '');
  if (Number.isNaN(end) && !is_open(job.state)) return null;
  return Math.max(0, (Number.isNaN(end) ? now_ms : end) - start);
}

export interface NodeShare {
  name: string;
  reachable: boolean;
  total: number;
  counted: number;
  done: number;
  failed: number;
}

// Each node's part of a dataset, for its bars, by name: nodes tell it in the order in which they answered.
export function node_shares(dataset: Dataset): NodeShare[] {
  return (dataset.nodes ?? []).map(({ name, reachable, images }) => ({
    name: name ?? '', reachable: reachable ?? false, total: images?.total ?? 0, counted: images?.counted ?? 0,
    done: images?.done ?? 0, failed: images?.failed ?? 0,
  })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

// 0 to 1; of an empty dataset nothing is left to do.
export function progress_share({ progress }: Dataset): number {
  const total = progress?.items_total ?? 0;
  return total > 0 ? Math.min(1, (progress?.items_done ?? 0) / total) : 1;
}
