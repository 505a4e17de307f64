// SPDX-License-Identifier: Apache-2.0
// Which events of the feed are shown.
import { k_kinds, k_severities, type FeedEvent, type Kind, type Severity } from './event';

export interface Filter {
  text: string;  // words; all of them must be there
  least: Severity;
  kinds: readonly Kind[];
  node: string;  // empty: of all nodes
}

export const k_no_filter: Filter = { text: '', least: 'debug', kinds: k_kinds, node: '' };

// Good news is as weighty as plain news; only its colour differs.
const rank = (severity: Severity) => (severity === 'ok' ? k_severities.indexOf('info') : k_severities.indexOf(severity));

export function matcher(filter: Filter): (event: FeedEvent) => boolean {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const least = rank(filter.least);
  const kinds = new Set(filter.kinds);
  return (event) =>
    rank(event.severity) >= least && kinds.has(event.kind) && (filter.node === '' || event.node === filter.node) &&
    words.every((word) => event.haystack.includes(word));
}

export const is_filtering = (filter: Filter) =>
  filter.text.trim() !== '' || filter.least !== 'debug' || filter.node !== '' || filter.kinds.length < k_kinds.length;

export function count_kinds(events: readonly FeedEvent[]): Record<Kind, number> {
  const counts = Object.fromEntries(k_kinds.map((kind) => [kind, 0])) as Record<Kind, number>;
  for (const event of events) counts[event.kind]++;
  return counts;
}

// The names of the nodes that have told something, sorted.
export function nodes_of(events: readonly FeedEvent[]): string[] {
  return [...new Set(events.map((event) => event.node))].filter((name) => name !== '').sort();
}

export interface Slot {
  start_ms: number;
  plain: number;
  good: number;
  warn: number;
  bad: number;
}

// How many events there were in each of the last `count` slots of time, by severity; the newest slot is the last.
export function density(events: readonly FeedEvent[], now_ms: number, slot_ms: number, count: number): Slot[] {
  const first_ms = (Math.floor(now_ms / slot_ms) - count + 1) * slot_ms;
  const slots: Slot[] = Array.from({ length: count }, (_, i) => ({ start_ms: first_ms + i * slot_ms, plain: 0, good: 0, warn: 0, bad: 0 }));
  for (const event of events) {
    const slot = slots[Math.floor((event.time_ms - first_ms) / slot_ms)];
    if (!slot) continue;
    if (event.severity === 'error') slot.bad++;
    else if (event.severity === 'warning') slot.warn++;
    else if (event.severity === 'ok') slot.good++;
    else slot.plain++;
  }
  return slots;
}
