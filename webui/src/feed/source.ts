// SPDX-License-Identifier: Apache-2.0
// The feed for the views: what came is taken in ten times a second at most, however much it is.
import { useEffect, useState } from 'preact/hooks';
import { empty_feed, take, type Feed } from './history';
import type { FeedEvent } from './event';
import { k_first_state, start_link, type Link, type LinkState, type Wire } from './link';

export interface FeedState {
  feed: Feed;
  link: LinkState;
}

const k_flush_ms = 100;
const k_pending_max = 5_000;

export class FeedSource {
  private state: FeedState = { feed: empty_feed(), link: k_first_state };
  private readonly listeners = new Set<() => void>();
  private pending: FeedEvent[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private readonly link: Link;

  constructor(wire: Wire, on_signed_out: () => void) {
    this.link = start_link(wire, {
      state: (link) => this.change({ link }),
      events: (events) => this.queue(events),
      missed: (count) => this.change({ feed: { ...this.state.feed, missed: this.state.feed.missed + count } }),
      signed_out: on_signed_out,
    });
  }

  now = (): FeedState => this.state;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  wake(): void {
    this.link.wake();
  }

  stop(): void {
    this.link.stop();
    if (this.timer !== null) clearTimeout(this.timer);
    this.listeners.clear();
  }

  private change(change: Partial<FeedState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of [...this.listeners]) listener();
  }

  private queue(events: readonly FeedEvent[]): void {
    for (const event of events) this.pending.push(event);
    if (this.pending.length >= k_pending_max) return this.flush();
    this.timer ??= setTimeout(() => this.flush(), k_flush_ms);
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const feed = take(this.state.feed, this.pending);
    this.pending = [];
    if (feed !== this.state.feed) this.change({ feed });
  }
}

// A part of the state; the view is drawn again when that part is another one.
export function use_feed<T>(source: FeedSource, select: (state: FeedState) => T): T {
  const [value, set_value] = useState(() => select(source.now()));
  useEffect(() => {
    const look = () => set_value(() => select(source.now()));
    look();
    return source.subscribe(look);
  }, [source]);
  return value;
}
