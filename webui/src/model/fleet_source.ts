// SPDX-License-Identifier: Apache-2.0
// Asks the node about itself each two seconds, and about the fleet, while the page is looked at; sooner when it is told to.
import { get_json, get_node, get_text, type Answer, type NodeState } from '../api';
import { Observable } from '../observable';
import type { Problem } from '../problem';
import { sample_of, with_sample, type Cluster, type Sample } from './fleet';

export interface FleetState {
  cluster: Cluster | null;
  node: NodeState | null;
  samples: readonly Sample[];
  has_metrics: boolean;
  problem: Problem | null;
}

const k_poll_ms = 2_000;
const k_hurry_ms = 200;  // what happens at once is asked for once

export class FleetSource extends Observable<FleetState> {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private stopped = false;
  private hurried = false;  // while it is being asked: what comes may be older than what was told

  constructor(private readonly token: string, private readonly on_signed_out: () => void) {
    super({ cluster: null, node: null, samples: [], has_metrics: true, problem: null });
    void this.look();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  // Something has changed: asks soon, and not at the next turn.
  hurry(): void {
    if (this.stopped || this.hurried) return;
    this.hurried = true;
    if (this.timer !== null) this.look_in(k_hurry_ms);
  }

  private look_in(ms: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), ms);
  }

  private async look(): Promise<void> {
    this.timer = null;
    this.hurried = false;
    if (document.visibilityState === 'visible') {
      const [cluster, node, metrics] = await Promise.all([
        get_json<Cluster>('/v1/cluster', this.token), get_node(this.token), get_text('/metrics', this.token),
      ]);
      if (!this.stopped) this.take(cluster, node, metrics);
    }
    if (!this.stopped) this.look_in(this.hurried ? k_hurry_ms : k_poll_ms);
  }

  private take(cluster: Answer<Cluster>, node: Answer<NodeState>, metrics: Answer<string>): void {
    const failed = !cluster.ok ? cluster.problem : !node.ok ? node.problem : null;
    if (failed?.status === 401) return this.on_signed_out();
    const { samples } = this.now();
    const text = metrics.ok ? metrics.value : '';
    this.change({
      problem: failed,
      has_metrics: metrics.ok,
      ...(cluster.ok ? { cluster: cluster.value } : {}),
      ...(node.ok ? { node: node.value, samples: with_sample(samples, sample_of(node.value, text, Date.now())) } : {}),
    });
  }
}
