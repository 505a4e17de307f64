// SPDX-License-Identifier: Apache-2.0
// The runs of a rollout as its events tell them: lanes of resources, each with its state and how long it took.
import { text_of, type FeedEvent } from '../feed/event';

export const k_layers = ['hardware', 'os', 'kubernetes', 'gitops', 'workload'] as const;
export type Layer = (typeof k_layers)[number];
export type Status = 'running' | 'succeeded' | 'changed' | 'skipped' | 'failed' | 'ignored';  // ignored: a failure that the tool goes on after

export interface Resource {
  name: string;
  tool: string;
  status: Status;
  start_ms: number;
  end_ms: number | null;  // null while it runs
  duration_ms: number | null;  // as the tool says, else from the first word to the last; null while it runs
  message: string;  // its latest
  error: string;
  hosts: number;  // on how many it was done, where the tool does one thing on many; else 0
  events: number;
}

export interface Run {
  id: string;  // empty: of events that name no run
  start_ms: number;
  last_ms: number;
  replay: boolean;
  lanes: Record<Layer, Resource[]>;
  counts: Record<Status, number>;
  unlisted: number;  // resources over the bound
}

const k_resources_max = 400;  // of one run
const k_runs_max = 50;

// Where a tool works when its event does not say.
const k_layer_of_tool: ReadonlyMap<string, Layer> = new Map([
  ['terraform', 'hardware'], ['tinkerbell', 'os'], ['ansible', 'os'], ['kubeadm', 'kubernetes'], ['argocd', 'gitops'],
  ['flux', 'gitops'], ['k8s', 'workload'], ['systemd', 'workload'],
]);

const tool_of = (event: FeedEvent) => text_of(event.data.tool) || (event.type.split('.')[3] ?? '');

function layer_of(event: FeedEvent): Layer {
  const named = text_of(event.data.layer);
  return k_layers.find((layer) => layer === named) ?? k_layer_of_tool.get(event.type.split('.')[3] ?? '') ?? 'workload';
}

const k_play_type = 'io.histod.rollout.ansible.play_started';  // a heading of its tasks, whose end nobody tells

// Null: the event says nothing about how it stands.
function status_of(event: FeedEvent): Status | null {
  if (event.type === k_play_type) return null;
  const told = text_of(event.data.status);
  if (told === 'failed' && event.data.ignored === true) return 'ignored';
  if (told === 'started' || told === 'progress') return 'running';
  if (told === 'succeeded' || told === 'failed' || told === 'skipped' || told === 'changed') return told;
  return event.severity === 'error' ? 'failed' : event.severity === 'ok' ? 'succeeded' : null;
}

function number_of(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

// A tool that only tells the end says how long it took: so its start is known, too.
function began(event: FeedEvent, status: Status): Resource {
  const took = number_of(event.data.duration_ms);
  const known = status !== 'running' && took !== null;
  return {
    name: text_of(event.data.resource) || event.subject || event.message, tool: tool_of(event), status: 'running',
    start_ms: known ? event.time_ms - took : event.time_ms, end_ms: null, duration_ms: null, message: '', error: '', hosts: 0, events: 0,
  };
}

const error_of = (event: FeedEvent, status: Status) => (status === 'failed' || status === 'ignored' ? text_of(event.data.error) || event.message : '');

function advance(resource: Resource, event: FeedEvent, status: Status): void {
  resource.events++;
  resource.message = event.message;
  resource.status = status;
  if (status === 'running') {
    const again = resource.end_ms !== null;
    if (again) Object.assign(resource, { start_ms: event.time_ms, error: '' });
    resource.end_ms = resource.duration_ms = null;
    resource.hosts = 0;
    return;
  }
  resource.end_ms = event.time_ms;
  resource.duration_ms = number_of(event.data.duration_ms) ?? Math.max(0, event.time_ms - resource.start_ms);
  resource.error = error_of(event, status);
}

interface Outcome {
  status: Status;
  error: string;
}

const k_worst_first: readonly Status[] = ['failed', 'ignored', 'changed', 'succeeded', 'skipped'];

// One task on many hosts: it stands as the worst of them, and says of which host each failure is.
function gather(resource: Resource, hosts: ReadonlyMap<string, Outcome>): void {
  const outcomes = [...hosts.values()];
  resource.status = k_worst_first.find((status) => outcomes.some((outcome) => outcome.status === status)) ?? resource.status;
  resource.hosts = hosts.size;
  const by_error = new Map<string, string[]>();
  for (const [host, { error }] of hosts) if (error) by_error.set(error, [...(by_error.get(error) ?? []), host]);
  resource.error = [...by_error].map(([error, names]) => `${names.join(', ')}: ${error}`).join('; ');
}

const empty_lanes = () => Object.fromEntries(k_layers.map((layer) => [layer, []])) as unknown as Record<Layer, Resource[]>;

class RunBuilder {
  readonly lanes = empty_lanes();
  private readonly known = new Map<string, Resource>();
  private readonly outcomes = new Map<Resource, Map<string, Outcome>>();  // by host
  private start_ms = Infinity;
  private last_ms = -Infinity;
  private replay = false;
  private unlisted = 0;

  constructor(private readonly id: string) {}

  add(event: FeedEvent): void {
    this.last_ms = Math.max(this.last_ms, event.time_ms);
    this.replay ||= event.replay;
    const layer = layer_of(event);
    const named = text_of(event.data.resource) || event.subject;
    const key = [layer, tool_of(event), named || event.message].join('\n');
    let resource = this.known.get(key);
    const told = status_of(event);
    // A version, a plan, a heading: no resource that stands somehow.
    if (!resource && (told === null || (named === '' && told !== 'failed'))) return;
    const status = told ?? resource!.status;
    if (!resource) {
      if (this.known.size >= k_resources_max) return void this.unlisted++;
      resource = began(event, status);
      this.known.set(key, resource);
      this.lanes[layer].push(resource);
    }
    this.start_ms = Math.min(this.start_ms, resource.start_ms);
    this.advance(resource, event, status);
  }

  // Only Ansible does one thing on many hosts at a time.
  private advance(resource: Resource, event: FeedEvent, status: Status): void {
    const longest_ms = resource.hosts > 0 ? (resource.duration_ms ?? 0) : 0;
    advance(resource, event, status);
    if (status === 'running') return void this.outcomes.delete(resource);
    if (tool_of(event) !== 'ansible' || event.node === '' || event.type.endsWith('.playbook_finished')) return;
    const hosts = this.outcomes.get(resource) ?? new Map<string, Outcome>();
    this.outcomes.set(resource, hosts.set(event.node, { status, error: error_of(event, status) }));
    resource.duration_ms = Math.max(longest_ms, resource.duration_ms ?? 0);
    gather(resource, hosts);
  }

  run(): Run {
    const counts: Run['counts'] = { running: 0, succeeded: 0, changed: 0, skipped: 0, failed: 0, ignored: 0 };
    for (const resource of this.known.values()) counts[resource.status]++;
    const start_ms = Math.min(this.start_ms, this.last_ms);
    return { id: this.id, start_ms, last_ms: this.last_ms, replay: this.replay, lanes: this.lanes, counts, unlisted: this.unlisted };
  }
}

// The newest run first. `until_ms`: as it stood then.
export function rollout_runs(events: readonly FeedEvent[], until_ms = Infinity): Run[] {
  const builders = new Map<string, RunBuilder>();
  const in_time = events.filter((event) => event.kind === 'rollout' && event.time_ms <= until_ms);
  in_time.sort((a, b) => a.time_ms - b.time_ms);
  for (const event of in_time) {
    let builder = builders.get(event.rolloutid);
    if (!builder) builders.set(event.rolloutid, (builder = new RunBuilder(event.rolloutid)));
    builder.add(event);
  }
  const runs = [...builders.values()].map((builder) => builder.run()).filter(({ counts }) => Object.values(counts).some((count) => count > 0));
  return runs.sort((a, b) => b.last_ms - a.last_ms).slice(0, k_runs_max);
}

export type Verdict = 'failed' | 'failing' | 'running' | 'done';

export function verdict({ counts }: Run): Verdict {
  if (counts.failed > 0) return counts.running > 0 ? 'failing' : 'failed';
  return counts.running > 0 ? 'running' : 'done';
}

// Of a lane: the worst of its resources.
export function lane_status(lane: readonly Resource[]): Status | 'waiting' {
  if (lane.length === 0) return 'waiting';
  for (const status of ['failed', 'running'] as const) if (lane.some((resource) => resource.status === status)) return status;
  return lane.some((resource) => resource.status === 'changed') ? 'changed' : 'succeeded';
}

// Where a bar begins and how long it is, in per cent of the run's time; never so short that it is not seen.
export function bar_of({ start_ms, end_ms }: Resource, from_ms: number, until_ms: number): { left: number; width: number } {
  const span = Math.max(1, until_ms - from_ms);
  const share = (ms: number) => Math.min(100, Math.max(0, (100 * (ms - from_ms)) / span));
  const left = Math.min(99.4, share(start_ms));
  return { left, width: Math.max(0.6, share(end_ms ?? until_ms) - left) };
}
