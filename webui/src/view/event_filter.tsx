// SPDX-License-Identifier: Apache-2.0
import { useMemo } from 'preact/hooks';
import { k_kinds, one_line, type Kind, type Severity } from '../feed/event';
import { count_kinds, nodes_of, type Filter } from '../feed/filter';
import type { Feed } from '../feed/history';
import { number_text } from '../text';

interface Props {
  feed: Feed;
  filter: Filter;
  on_filter: (filter: Filter) => void;
  paused: boolean;
  on_pause: () => void;
}

const k_kind_words: Record<Kind, string> = {
  rollout: 'Rollout', cluster: 'Cluster', zookeeper: 'ZooKeeper', secops: 'Security', job: 'Jobs', stream: 'Streams', log: 'Logs', other: 'Other',
};

const k_least: ReadonlyArray<[Severity, string]> = [
  ['debug', 'All severities'], ['info', 'Info and above'], ['warning', 'Warnings and errors'], ['error', 'Errors only'],
];

export function EventFilter({ feed, filter, on_filter, paused, on_pause }: Props) {
  const nodes = useMemo(() => nodes_of(feed.all.events), [feed.all.events]);

  return (
    <div class="toolbar" role="search" aria-label="Events">
      <input type="search" class="search" placeholder="Search messages, types, nodes, ids" aria-label="Search" value={filter.text} spellcheck={false}
        autocomplete="off" onInput={(event) => on_filter({ ...filter, text: event.currentTarget.value })} />
      <select aria-label="Least severity" value={filter.least} onChange={(event) => on_filter({ ...filter, least: event.currentTarget.value as Severity })}>
        {k_least.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
      </select>
      <select aria-label="Node" value={filter.node} onChange={(event) => on_filter({ ...filter, node: event.currentTarget.value })}>
        <option value="">All nodes</option>
        {nodes.map((node) => <option key={node} value={node}>{one_line(node, 40)}</option>)}
      </select>
      <button type="button" class="pause" aria-pressed={paused} onClick={on_pause}>{paused ? 'Go on' : 'Pause'}</button>
    </div>
  );
}

export function KindFilter({ feed, filter, on_filter }: Pick<Props, 'feed' | 'filter' | 'on_filter'>) {
  const counts = useMemo(() => count_kinds(feed.all.events), [feed.all.events]);
  const toggle = (kind: Kind) => {
    const kinds = filter.kinds.includes(kind) ? filter.kinds.filter((one) => one !== kind) : k_kinds.filter((one) => one === kind || filter.kinds.includes(one));
    on_filter({ ...filter, kinds });
  };
  return (
    <div class="kinds" role="group" aria-label="Kinds">
      {k_kinds.map((kind) => (
        <label key={kind} class="pill small-pill">
          <input type="checkbox" checked={filter.kinds.includes(kind)} onChange={() => toggle(kind)} />
          <span>{k_kind_words[kind]} <small>{number_text(counts[kind])}</small></span>
        </label>
      ))}
    </div>
  );
}
