// SPDX-License-Identifier: Apache-2.0
// A small terminal for each node.
import { useMemo, useState } from 'preact/hooks';
import { fields_text, k_severities, one_line, type FeedEvent, type Severity } from '../feed/event';
import { k_no_filter, matcher, type Filter } from '../feed/filter';
import type { FeedSource, FeedState } from '../feed/source';
import type { FleetSource } from '../model/fleet_source';
import { use_part } from '../observable';
import { clock_text, number_text } from '../text';
import { Empty } from './bits';
import { VirtualList } from './virtual_list';

const k_level_words: Record<Severity, string> = { debug: 'DEBUG', info: 'INFO', ok: 'OK', warning: 'WARN', error: 'ERROR' };

function Line({ event }: { event: FeedEvent }) {
  return (
    <>
      <span class="line-time">{clock_text(event.time_ms)}</span> <b class={`level ${event.severity}`}>{k_level_words[event.severity]}</b>{' '}
      {event.replay && <em class="replay">replay</em>}<bdi>{one_line(event.message)}<span class="fields">{one_line(fields_text(event.data.fields), 600)}</span></bdi>
    </>
  );
}

interface TerminalProps {
  node: string;
  index: number;
  lines: readonly FeedEvent[];
  filter: Filter;
  self: boolean;
}

function Terminal({ node, index, lines, filter, self }: TerminalProps) {
  const shown = useMemo(() => lines.filter(matcher(filter)), [lines, filter]);
  const bad = lines.filter((event) => event.severity === 'error').length;
  const name = one_line(node, 64) || 'unnamed';
  return (
    <section class="panel terminal" aria-label={`Log of ${name}`}>
      <div class="panel-head">
        <h3>{name}</h3>
        {self && <small>this node</small>}
        {bad > 0 && <span class="chip bad"><i aria-hidden="true" />{bad} error{bad > 1 ? 's' : ''}</span>}
        <small>{number_text(shown.length)} line{shown.length === 1 ? '' : 's'}</small>
      </div>
      {shown.length === 0
        ? <p class="help no-lines">{lines.length === 0 ? 'This node has not logged anything since the page was opened.' : 'No line is like that.'}</p>
        : <VirtualList id={`log-${index}`} rows={shown} row_px={20} key_of={(event) => event.key} draw={(event) => <Line event={event} />} label={`Lines of ${name}, the newest last`} follow />}
    </section>
  );
}

const k_least: ReadonlyArray<[Severity, string]> = [['debug', 'All levels'], ['info', 'Info and above'], ['warning', 'Warnings and errors'], ['error', 'Errors only']];

interface Held {
  logs: FeedState['feed']['logs'];
}

const logs_of = (state: FeedState) => state.feed.logs;

export function Logs({ feed, fleet, active }: { feed: FeedSource; fleet: FleetSource; active: boolean }) {
  const live = use_part(feed, logs_of, active);
  const members = use_part(fleet, (state) => state.cluster?.members, active);
  const [held, set_held] = useState<Held | null>(null);
  const [text, set_text] = useState('');
  const [least, set_least] = useState<Severity>(k_severities[0]);
  const logs = held?.logs ?? live;
  const filter = useMemo(() => ({ ...k_no_filter, text, least }), [text, least]);
  const self = members?.find((member) => member.self)?.name ?? '';
  const nodes = [...new Set([...(members ?? []).map((member) => member.name), ...logs.keys()])].sort();
  return (
    <div class="view view-logs">
      <h2 class="off-screen">Node logs</h2>
      <div class="toolbar" role="search" aria-label="Logs">
        <input type="search" class="search" placeholder="Search in all lines" aria-label="Search" value={text} spellcheck={false} autocomplete="off"
          onInput={(event) => set_text(event.currentTarget.value)} />
        <select aria-label="Least level" value={least} onChange={(event) => set_least(event.currentTarget.value as Severity)}>
          {k_least.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
        </select>
        <button type="button" class="pause" aria-pressed={held !== null} onClick={() => set_held(held ? null : { logs: live })}>{held ? 'Go on' : 'Pause'}</button>
      </div>
      {nodes.length === 0 ? <div class="panel"><Empty title="No node is known yet">The lines of each node's log appear here as they are written.</Empty></div> : (
        <div class="terminals">
          {nodes.map((node, i) => <Terminal key={node} node={node} index={i} lines={logs.get(node)?.events ?? []} filter={filter} self={node === self} />)}
        </div>
      )}
    </div>
  );
}
