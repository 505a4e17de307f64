// SPDX-License-Identifier: Apache-2.0
// All events in one stream: searched, filtered, held still, and each with an address of its own.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { get_json } from '../api';
import { fields_text, k_rollout_mark, one_line, read_event, short_type, tone_of, type FeedEvent } from '../feed/event';
import { density, is_filtering, k_no_filter, matcher, type Filter, type Slot } from '../feed/filter';
import type { Feed } from '../feed/history';
import type { Listed } from '../feed/link';
import type { FeedSource, FeedState } from '../feed/source';
import { use_part } from '../observable';
import { event_hash, is_target, type Target } from '../route';
import { clock_text, number_text } from '../text';
import { use_clock, use_media } from '../use_media';
import { Empty, FeedEmpty } from './bits';
import { EventDetail } from './event_detail';
import { EventFilter, KindFilter } from './event_filter';
import { VirtualList } from './virtual_list';

interface Props {
  feed: FeedSource;
  token: string;
  target: Target | null;
  active: boolean;
}

const k_severity_words = { debug: 'DEBUG', info: 'INFO', ok: 'OK', warning: 'WARN', error: 'ERROR' };

function Row({ event }: { event: FeedEvent }) {
  return (
    <>
      <span class="event-time">{clock_text(event.time_ms)}</span>
      <span class="event-severity">{k_severity_words[event.severity]}</span>
      <span class="event-node">{one_line(event.node, 64) || '–'}</span>
      <span class="event-type">{one_line(short_type(event.type), 80)}</span>
      <span class="event-message">
        {event.replay && <em class="replay">replay</em>}
        {event.kind === 'rollout' && <span class="rollout-mark">{k_rollout_mark} </span>}
        <bdi>{one_line(event.message)}{event.kind === 'log' && <span class="fields">{one_line(fields_text(event.data.fields), 300)}</span>}</bdi>
      </span>
    </>
  );
}

const k_slot_ms = 5_000;
const k_slots = 60;

function Density({ slots }: { slots: readonly Slot[] }) {
  const most = Math.max(4, ...slots.map((slot) => slot.plain + slot.good + slot.warn + slot.bad));
  const total = slots.reduce((sum, slot) => sum + slot.plain + slot.good + slot.warn + slot.bad, 0);
  return (
    <figure class="density">
      <svg viewBox={`0 0 ${k_slots * 4} 40`} preserveAspectRatio="none" role="img" aria-label={`${total} events in the last five minutes, by severity`}>
        {slots.map((slot, i) => {
          let y = 40;
          return (['plain', 'good', 'warn', 'bad'] as const).map((tone) => {
            const height = (38 * slot[tone]) / most;
            y -= height;
            return slot[tone] > 0 && <rect key={`${i}${tone}`} class={tone} x={i * 4} y={y} width={3} height={height} />;
          });
        })}
      </svg>
      <figcaption><span>5 min ago</span><span>most {number_text(most)} in 5 s</span><span>now</span></figcaption>
    </figure>
  );
}

// An event that an address names and that is not here any more is asked of the node.
function use_target(target: Target | null, feed: Feed, token: string, on_found: (event: FeedEvent) => void): string {
  const [trouble, set_trouble] = useState('');
  useEffect(() => {
    set_trouble('');
    if (!target) return;
    const here = feed.all.events.find((event) => is_target(target, event));
    if (here) return on_found(here);
    if (!('sequence' in target)) {
      if (feed.received > 0) set_trouble('This event is not among those that the page has. The node finds events by their sequence only.');
      return;
    }
    let wanted = true;
    void get_json<Listed>(`/v1/events?after=${Math.max(0, target.sequence - 1)}&limit=1`, token).then((answer) => {
      if (!wanted) return;
      if (!answer.ok) return set_trouble(`The node did not give this event: ${answer.problem.title}.`);
      const { events, identity } = answer.value;
      if (identity !== target.identity) return set_trouble(`This link belongs to the node with the identity ${target.identity}. Open it on that node's page.`);
      const found = Array.isArray(events) ? read_event(events[0], target.identity, Date.now()) : null;
      if (found && is_target(target, found)) on_found(found);
      else set_trouble('The node does not keep this event any more.');
    });
    return () => void (wanted = false);
  }, [target, feed.received > 0]);
  return trouble;
}

function Nothing({ source, feed, filter, on_clear }: { source: FeedSource; feed: Feed; filter: Filter; on_clear: () => void }) {
  const link = use_part(source, (state) => state.link);
  if (feed.received === 0) {
    return <FeedEmpty link={link} title="No events yet">What the fleet and the rollout tell appears here as it happens. To try it: <code>histoctl events send</code>.</FeedEmpty>;
  }
  return (
    <Empty title="No event is like that">
      {number_text(feed.all.events.length)} events are here, but the filter lets none through. {is_filtering(filter) && <button type="button" onClick={on_clear}>Clear the filter</button>}
    </Empty>
  );
}

function Status({ feed, shown, held, paused }: { feed: Feed; shown: number; held: number; paused: boolean }) {
  const parts = [`${number_text(shown)} of ${number_text(feed.all.events.length)} events`];
  if (feed.all.forgotten > 0) parts.push(`${number_text(feed.all.forgotten)} older ones are not kept here`);
  if (feed.missed > 0) parts.push(`${number_text(feed.missed)} were missed`);
  if (paused) parts.push(`held still, ${number_text(held)} new`);
  return <p class="help stream-status">{parts.join(' · ')}</p>;
}

const all_of = (state: FeedState) => state.feed;

export function Events({ feed: source, token, target, active }: Props) {
  const live = use_part(source, all_of, active);
  const [held, set_held] = useState<Feed | null>(null);
  const [filter, set_filter] = useState(k_no_filter);
  const [chosen, set_chosen] = useState<FeedEvent | null>(null);
  const feed = held ?? live;
  const narrow = use_media('(max-width: 720px)');
  const matching = useMemo(() => feed.all.events.filter(matcher(filter)), [feed.all.events, filter]);
  const rows = useMemo(() => [...matching].reverse(), [matching]);
  const now_ms = use_clock(active && !held);
  const slots = useMemo(() => density(matching, now_ms, k_slot_ms, k_slots), [matching, now_ms]);
  const trouble = use_target(target, live, token, set_chosen);
  const choose = (event: FeedEvent) => {
    set_chosen(event);
    history.replaceState(null, '', event_hash(event));
  };
  return (
    <div class="view view-events">
      <h2 class="off-screen">Events</h2>
      <EventFilter feed={feed} filter={filter} on_filter={set_filter} paused={held !== null} on_pause={() => set_held(held ? null : live)} />
      <Density slots={slots} />
      <div class="stream-head">
        <KindFilter feed={feed} filter={filter} on_filter={set_filter} />
        <Status feed={feed} shown={rows.length} held={live.received - feed.received} paused={held !== null} />
      </div>
      <div class="stream-body">
        <div class="panel stream-list">
          {rows.length === 0
            ? <Nothing source={source} feed={feed} filter={filter} on_clear={() => set_filter(k_no_filter)} />
            : <VirtualList id="event" rows={rows} row_px={narrow ? 50 : 29} key_of={(event) => event.key} draw={(event) => <Row event={event} />}
                class_of={(event) => `event ${tone_of(event)}`} label="Events, the newest first" chosen={chosen?.key ?? null} on_choose={choose} />}
        </div>
        <EventDetail event={chosen} trouble={trouble} on_close={() => set_chosen(null)} />
      </div>
    </div>
  );
}
