// SPDX-License-Identifier: Apache-2.0
// What the address says after "#": the tab, and on the tab of events which one.

export const k_tabs = ['work', 'live', 'fleet', 'rollout', 'events', 'logs'] as const;
export type Tab = (typeof k_tabs)[number];

// By its place in a node's ring, or by its own identity.
export type Target = { sequence: number; identity: string } | { source: string; id: string };

export interface Route {
  tab: Tab;
  target: Target | null;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function parse_target(text: string): Target | null {
  const place = /^(\d{1,16})@(.+)$/.exec(text);
  if (place) {
    const [sequence, identity] = [Number(place[1]), decoded(place[2]!)];
    return identity !== null && Number.isSafeInteger(sequence) ? { sequence, identity } : null;
  }
  const [source, id, ...more] = text.split('+').map(decoded);
  return source && id && more.length === 0 ? { source, id } : null;
}

// Anything unknown is the first tab.
export function parse_route(hash: string): Route {
  const [, name = '', rest = ''] = /^#?([a-z]*)\/?(.*)$/s.exec(hash) ?? [];
  const tab = k_tabs.find((known) => known === name) ?? 'work';
  return { tab, target: tab === 'events' && rest !== '' ? parse_target(rest) : null };
}

export const tab_hash = (tab: Tab) => `#${tab}`;

interface Located {
  sequence: number | null;
  identity: string;
  source: string;
  id: string;
}

export function event_hash({ sequence, identity, source, id }: Located): string {
  if (sequence !== null && identity !== '') return `#events/${sequence}@${encodeURIComponent(identity)}`;
  return `#events/${encodeURIComponent(source)}+${encodeURIComponent(id)}`;
}

export function is_target(target: Target, event: Located): boolean {
  if ('sequence' in target) return event.sequence === target.sequence && event.identity === target.identity;
  return event.source === target.source && event.id === target.id;
}

// Where a key of the list of tabs leads; null for keys that are not its.
export function tab_after_key(key: string, tab: Tab, tabs: readonly Tab[] = k_tabs): Tab | null {
  const at = tabs.indexOf(tab);
  if (key === 'ArrowRight') return tabs[(at + 1) % tabs.length]!;
  if (key === 'ArrowLeft') return tabs[(at + tabs.length - 1) % tabs.length]!;
  if (key === 'Home') return tabs[0]!;
  return key === 'End' ? tabs[tabs.length - 1]! : null;
}
