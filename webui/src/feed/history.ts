// SPDX-License-Identifier: Apache-2.0
// What the page remembers of the feed: bounded, each event once, in the order in which it came.
import { tone_of, type FeedEvent } from './event';

export interface History {
  events: readonly FeedEvent[];  // the oldest first
  keys: Set<string>;  // of `events`; moves on to the next history
  limit: number;
  chars: number;  // of `events` together
  forgotten: number;  // how many were dropped for newer ones
}

export const k_events_max = 5_000;
export const k_chars_max = 16 * 1024 * 1024;  // of one history: events of the greatest size would fill the memory
const k_rollout_max = 3_000;
const k_notable_max = 200;
const k_lines_max = 500;  // of one node's log
const k_nodes_max = 64;

export const empty_history = (limit: number): History => ({ events: [], keys: new Set(), limit, chars: 0, forgotten: 0 });

// The same history where nothing is new.
export function remember(history: History, incoming: readonly FeedEvent[]): History {
  const fresh = incoming.filter((event) => {
    if (history.keys.has(event.key)) return false;
    history.keys.add(event.key);
    return true;
  });
  if (fresh.length === 0) return history;
  const all = history.events.concat(fresh);
  let chars = fresh.reduce((sum, event) => sum + event.chars, history.chars);
  let over = 0;
  while (all.length - over > history.limit || (chars > k_chars_max && over < all.length - 1)) {
    chars -= all[over]!.chars;
    history.keys.delete(all[over++]!.key);
  }
  return { ...history, events: over > 0 ? all.slice(over) : all, chars, forgotten: history.forgotten + over };
}

export interface Feed {
  all: History;
  rollout: History;  // apart, so that a flood of log lines does not push a rollout out
  notable: History;  // of the cluster, ZooKeeper and security
  logs: ReadonlyMap<string, History>;  // by the node's name
  zookeeper: ReadonlyMap<string, FeedEvent>;  // the latest word of each node about its session
  heard: ReadonlyMap<string, number>;  // when each node's latest event was, by its own clock
  received: number;  // without doubles
  missed: number;  // those that the node had no more when the feed went on
}

export function empty_feed(): Feed {
  return {
    all: empty_history(k_events_max), rollout: empty_history(k_rollout_max), notable: empty_history(k_notable_max),
    logs: new Map(), zookeeper: new Map(), heard: new Map(), received: 0, missed: 0,
  };
}

function with_lines(logs: Feed['logs'], events: readonly FeedEvent[]): Feed['logs'] {
  const by_node = new Map<string, FeedEvent[]>();
  for (const event of events) {
    if (event.kind !== 'log') continue;
    const lines = by_node.get(event.node);
    if (lines) lines.push(event);
    else by_node.set(event.node, [event]);
  }
  if (by_node.size === 0) return logs;
  const next = new Map(logs);
  for (const [node, lines] of by_node) {
    const known = next.get(node);
    if (known || next.size < k_nodes_max) next.set(node, remember(known ?? empty_history(k_lines_max), lines));
  }
  return next;
}

function with_states(states: Feed['zookeeper'], events: readonly FeedEvent[]): Feed['zookeeper'] {
  const told = events.filter((event) => event.kind === 'zookeeper' && !event.replay);
  if (told.length === 0) return states;
  const next = new Map(states);
  for (const event of told) {
    if (next.has(event.node) || next.size < k_nodes_max) next.set(event.node, event);
  }
  return next;
}

function with_heard(heard: Feed['heard'], events: readonly FeedEvent[]): Feed['heard'] {
  const next = new Map(heard);
  for (const event of events) {
    if (event.replay || event.node === '' || (!next.has(event.node) && next.size >= k_nodes_max)) continue;
    next.set(event.node, Math.max(event.time_ms, next.get(event.node) ?? 0));
  }
  return next;
}

const k_notable = new Set(['cluster', 'zookeeper', 'secops']);

// The same feed where nothing is new.
export function take(feed: Feed, incoming: readonly FeedEvent[]): Feed {
  const all = remember(feed.all, incoming);
  if (all === feed.all) return feed;
  const count = all.events.length + all.forgotten - feed.all.events.length - feed.all.forgotten;
  const fresh = all.events.slice(-Math.min(count, all.events.length));
  const of = (wanted: (event: FeedEvent) => boolean) => fresh.filter(wanted);
  return {
    ...feed,
    all,
    rollout: remember(feed.rollout, of((event) => event.kind === 'rollout')),
    notable: remember(feed.notable, of((event) => k_notable.has(event.kind) && tone_of(event) !== 'muted')),
    logs: with_lines(feed.logs, fresh),
    zookeeper: with_states(feed.zookeeper, fresh),
    heard: with_heard(feed.heard, fresh),
    received: feed.received + count,
  };
}
