// SPDX-License-Identifier: Apache-2.0
import { one_line, tone_of, type FeedEvent } from '../feed/event';
import { event_hash } from '../route';
import { date_text } from '../text';
import { CopyButton } from './copy_button';

interface Props {
  event: FeedEvent | null;
  trouble: string;  // why the event that the address names is not shown
  on_close: () => void;
}

function facts(event: FeedEvent): Array<[string, string]> {
  const all: Array<[string, string]> = [
    ['Time', `${date_text(event.time_ms)}`], ['UTC', new Date(event.time_ms).toISOString()], ['Severity', event.severity], ['Type', event.type],
    ['Node', event.node], ['Source', event.source], ['Id', event.id], ['Sequence', event.sequence === null ? '' : String(event.sequence)],
    ['Subject', event.subject], ['Rollout', event.rolloutid], ['Trace', typeof event.raw.traceparent === 'string' ? event.raw.traceparent : ''],
  ];
  return all.filter(([, value]) => value !== '');
}

function Chosen({ event, on_close }: { event: FeedEvent; on_close: () => void }) {
  const whole = JSON.stringify(event.raw, null, 2);
  return (
    <>
      <div class="panel-head">
        <h3 class={`tone-${tone_of(event)}`}>{event.severity}{event.replay && <em class="replay">replay</em>}</h3>
        <button type="button" class="quiet" onClick={on_close}>Close</button>
      </div>
      <p class="event-whole"><bdi>{event.message.slice(0, 4_000)}</bdi></p>
      <div class="detail-actions">
        <CopyButton text={`${location.origin}${location.pathname}${event_hash(event)}`} label="Copy link" />
        <CopyButton text={whole} label="Copy JSON" />
      </div>
      <dl class="facts">{facts(event).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{one_line(value, 1_024)}</dd></div>)}</dl>
      <pre class="json" tabIndex={0} role="region" aria-label="The event as JSON">{whole}</pre>
    </>
  );
}

export function EventDetail({ event, trouble, on_close }: Props) {
  return (
    <aside class={`panel event-detail${event || trouble ? ' open' : ''}`} aria-label="Chosen event">
      {trouble && <p class="problem-line" role="alert">{trouble}</p>}
      {event ? <Chosen event={event} on_close={on_close} /> : !trouble && (
        <p class="help">Choose an event, by a click or with the arrow keys, to see all of it and to copy a link to it.</p>
      )}
    </aside>
  );
}
