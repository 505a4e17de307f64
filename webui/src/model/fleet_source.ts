// SPDX-License-Identifier: Apache-2.0
// Asks about the fleet and about its nodes each two seconds, while the page is looked at; about the fleet sooner when it is told to.
// The two do not wait for each other: a node that does not answer keeps the list of nodes waiting.
import { get_json, type Answer } from '../api';
import { Observable } from '../observable';
import type { Problem } from '../problem';
import { with_reports, type Cluster, type NodeList, type NodeReport } from './fleet';

export interface FleetState {
  cluster: Cluster | null;
  reports: ReadonlyMap<string, NodeReport> | null;  // by the node's name; null: not told yet
  problem: Problem | null;
}

const k_poll_ms = 2_000;
const k_hurry_ms = 200;  // what happens at once is asked for once

export class FleetSource extends Observable<FleetState> {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private nodes_timer: ReturnType<typeof setTimeout> | null = null;
  private stopped = false;
  private hurried = false;  // while it is being asked: what comes may be older than what was told

  constructor(private readonly token: string, private readonly on_signed_out: () => void) {
    super({ cluster: null, reports: null, problem: null });
    void this.look();
    void this.look_at_nodes();
  }

  stop(): void {
    this.stopped = true;
    for (const timer of [this.timer, this.nodes_timer]) if (timer !== null) clearTimeout(timer);
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
    const cluster = await this.ask<Cluster>('/v1/cluster');
    if (this.stopped) return;
    if (cluster !== null) this.change({ problem: cluster.ok ? null : cluster.problem, ...(cluster.ok ? { cluster: cluster.value } : {}) });
    this.look_in(this.hurried ? k_hurry_ms : k_poll_ms);
  }

  private async look_at_nodes(): Promise<void> {
    this.nodes_timer = null;
    const list = await this.ask<NodeList>('/v1/nodes');
    if (this.stopped) return;
    const now = this.now().reports;
    if (list !== null) this.change({ reports: list.ok ? with_reports(now ?? new Map(), list.value, Date.now()) : now });
    this.nodes_timer = setTimeout(() => void this.look_at_nodes(), k_poll_ms);
  }

  // null: nobody looks at the page, so nothing was asked.
  private async ask<T>(path: string): Promise<Answer<T> | null> {
    if (document.visibilityState !== 'visible') return null;
    const answer = await get_json<T>(path, this.token);
    if (!this.stopped && !answer.ok && answer.problem.status === 401) this.on_signed_out();
    return answer;
  }
}
