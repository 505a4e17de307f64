// SPDX-License-Identifier: Apache-2.0
// The feed for the views: what came is taken in ten times a second at most, however much it is.
import { Observable } from '../observable';
import type { FeedEvent } from './event';
import { empty_feed, take, type Feed } from './history';
import { k_first_state, start_link, type Link, type LinkState, type Wire } from './link';

export interface FeedState {
  feed: Feed;
  link: LinkState;
}

const k_flush_ms = 100;
const k_pending_max = 5_000;

export class FeedSource extends Observable<FeedState> {
  private pending: FeedEvent[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly link: Link;

  constructor(wire: Wire, on_signed_out: () => void) {
    super({ feed: empty_feed(), link: k_first_state });
    this.link = start_link(wire, {
      state: (link) => this.change({ link }),
      events: (events) => this.queue(events),
      missed: (count) => this.change({ feed: { ...this.now().feed, missed: this.now().feed.missed + count } }),
      signed_out: on_signed_out,
    });
  }

  wake(): void {
    this.link.wake();
  }

  stop(): void {
    this.link.stop();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private queue(events: readonly FeedEvent[]): void {
    for (const event of events) this.pending.push(event);
    if (this.pending.length >= k_pending_max) return this.flush();
    this.timer ??= setTimeout(() => this.flush(), k_flush_ms);
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const { feed } = this.now();
    const next = take(feed, this.pending);
    this.pending = [];
    if (next !== feed) this.change({ feed: next });
  }
}
