// SPDX-License-Identifier: Apache-2.0
// The stream that is looked at: its pictures, its histogram and table, its numbers, and what may be changed.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { delete_at } from '../api';
import { one_line, tone_of, type FeedEvent } from '../feed/event';
import { axis_top } from '../histogram';
import { changes_text, digest_hex, format_of, format_text, live_curve, live_series, quiet_text, spread_text, state_tone, stream_path, window_text, type StreamState } from '../model/streams';
import type { Problem } from '../problem';
import { event_hash } from '../route';
import { clock_text, number_text, short_time_text } from '../text';
import { use_picture, use_stream } from '../use_stream';
import { Chip, ProblemLine } from './bits';
import { Chart } from './chart';
import { CopyButton } from './copy_button';
import { CurveChart } from './curve_chart';
import { ChangeStream } from './stream_forms';

interface PictureProps {
  token: string;
  state: StreamState;
  side: 'in' | 'out';
  active: boolean;
}

function LivePicture({ token, state, side, active }: PictureProps) {
  const { width = 16, height = 9 } = format_of(state);
  const per_second = state.config.preview?.per_second ?? 3;
  const { url, problem } = use_picture(token, state.name, side, per_second, active);
  const word = side === 'in' ? 'In' : 'Out';
  const why = per_second === 0 ? 'No preview: its pictures per second are 0.' : problem?.code === 'no-frame' ? 'No whole frame came in yet.' : problem?.title ?? 'Asking …';
  return (
    <figure class="panel live-picture" style={{ '--ratio': `${width} / ${height}` }}>
      <span class="tag left">{word}</span>
      {url ? <img src={url} alt={`${word}: the latest frame ${side === 'in' ? 'as it came' : 'as it was sent'}`} /> : <p class="help">{why}</p>}
    </figure>
  );
}

const k_outcomes = ['received', 'lost', 'missing', 'reordered', 'duplicated', 'late', 'stray', 'malformed', 'dropped', 'sent', 'send_failed'] as const;
const k_outcome_words: Partial<Record<string, string>> = { missing: 'missing, may yet come', stray: 'of another source', send_failed: 'not sent' };
const k_harmful: readonly string[] = ['lost', 'late', 'malformed', 'dropped', 'send_failed'];

function Packets({ state }: { state: StreamState }) {
  const { packets = {}, frames, faults = {} } = state;
  const rows: Array<[string, number | undefined, boolean]> = [
    ...k_outcomes.map((name): [string, number | undefined, boolean] => [`Packets ${k_outcome_words[name] ?? name}`, packets[name], k_harmful.includes(name)]),
    ...Object.entries(faults).map(([name, count]): [string, number | undefined, boolean] => [`Malformed: ${one_line(name, 60).replaceAll('_', ' ')}`, count, true]),
    ['Frames whole', frames?.whole, false], ['Frames partial', frames?.partial, true],
  ];
  return (
    <section class="panel numbers" aria-label="Packets and frames">
      <h3>Packets and frames</h3>
      <table>
        <thead class="off-screen"><tr><th scope="col">What</th><th scope="col">Since it began</th></tr></thead>
        <tbody>{rows.map(([name, count, harmful]) => <tr key={name}><th scope="row">{name}</th><td class={harmful && (count ?? 0) > 0 ? 'bad' : ''}>{number_text(count)}</td></tr>)}</tbody>
      </table>
    </section>
  );
}

function facts_of(state: StreamState): Array<[string, string]> {
  const { config, delay_seconds: delay, core, ssrc, local, frame_jitter_seconds: frame_jitter } = state;
  const [comes, said] = [format_text(format_of(state)), format_text(config)];
  const all: Array<[string, string | undefined]> = [
    ['Format', comes], ['Configured', comes === said ? undefined : said],
    ['Listens on', [local ?? config.listen, config.interface && `of ${config.interface}`].filter(Boolean).join(' ')],
    ['Received by', [config.backend, config.dpdk_port].filter(Boolean).join(', ')], ['Sent to', (config.targets ?? []).join(', ') || 'nobody'],
    ['SSRC', ssrc === undefined ? undefined : `0x${ssrc.toString(16).padStart(8, '0')}`], ['Changes', changes_text(state) || undefined],
    ['CPU', core && (typeof core.cpu === 'number' ? String(core.cpu) : 'shared with other work of the daemon')], ['Window', core && `${window_text(state)} frames`],
    ['Jitter', core && `${short_time_text(state.jitter_seconds)}${frame_jitter == null ? '' : `, of frames ${short_time_text(frame_jitter)}`}`],
    ['Delay', delay ? ([['p50', delay.p50], ['p99', delay.p99], ['p99.9', delay.p999]] as const).map(([name, value]) => `${name} ${short_time_text(value)}`.replaceAll(' ', '\u00a0')).join(', ') : undefined],
  ];
  return all.filter((fact): fact is [string, string] => Boolean(fact[1]));
}

function About({ state, events }: { state: StreamState; events: readonly FeedEvent[] }) {
  const digest = digest_hex(state);
  return (
    <section class="panel live-about" aria-label="About the stream">
      <h3>Stream</h3>
      <dl class="facts">{facts_of(state).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{one_line(value, 400)}</dd></div>)}</dl>
      {digest !== '' && (
        <>
          <h3>Lookup table</h3>
          <div class="digest"><code title={`SHA-256 of the table: ${digest}`}>{digest.slice(0, 16)}…</code><CopyButton text={digest} label="Copy SHA-256" /></div>
        </>
      )}
      <h3>Lately</h3>
      {events.length === 0 && <p class="help">Nothing was told of it since the feed began.</p>}
      <ul class="incidents">
        {events.map((event) => (
          <li key={event.key} class={`tone-${tone_of(event)}`}><span class="event-time">{clock_text(event.time_ms).slice(0, 8)}</span><a href={event_hash(event)}><bdi>{one_line(event.message, 200)}</bdi></a></li>
        ))}
      </ul>
    </section>
  );
}

interface RemoveProps {
  name: string;
  token: string;
  on_removed: () => void;
}

function Remove({ name, token, on_removed }: RemoveProps) {
  const [asked, set_asked] = useState(false);
  const [busy, set_busy] = useState(false);
  const [problem, set_problem] = useState<Problem | null>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (asked) keep.current?.focus();
  }, [asked]);
  const close = () => {
    set_asked(false);
    set_problem(null);
    requestAnimationFrame(() => opener.current?.focus());
  };
  const remove = async () => {
    set_busy(true);
    const answer = await delete_at(stream_path(name), token);
    set_busy(false);
    if (answer.ok || answer.problem.status === 404) return on_removed();
    set_problem(answer.problem);
  };
  if (!asked) return <button ref={opener} type="button" class="quiet" onClick={() => set_asked(true)}>Remove</button>;
  return (
    <div class="live-confirm" role="group" aria-labelledby="remove-question" onKeyDown={(event) => event.key === 'Escape' && close()}>
      <p id="remove-question">Remove <b><bdi>{one_line(name, 64)}</bdi></b>? Its port is closed, and nothing is sent on any more.</p>
      <button ref={keep} type="button" onClick={close}>Keep it</button>
      <button type="button" class="danger" disabled={busy} onClick={() => void remove()}>{busy ? 'Removing …' : 'Remove it'}</button>
      {problem && <ProblemLine problem={problem} />}
    </div>
  );
}

interface Props {
  token: string;
  listed: StreamState;  // as the list tells it
  events: readonly FeedEvent[];
  active: boolean;
  on_problem: (problem: Problem) => void;
  on_removed: () => void;
}

export function StreamDetail({ token, listed, events, active, on_problem, on_removed }: Props) {
  const { state: whole, problem, take } = use_stream(token, listed.name, active, on_problem);
  const state = whole ?? listed;
  const series = useMemo(() => live_series(state), [state.histogram]);
  const curve = useMemo(() => live_curve(state), [state.lut]);
  const top = useMemo(() => axis_top([series]), [series]);
  const sides = { token, state, active };
  return (
    <section class="live-detail" aria-label={`Stream ${one_line(state.name, 64)}, in detail`}>
      <div class="panel-head live-head">
        <h3 id="live-name"><bdi>{one_line(state.name, 64)}</bdi></h3>
        <Chip tone={state_tone(state.state)}>{one_line(state.state, 20)}</Chip>
        <Remove name={state.name} token={token} on_removed={on_removed} />
      </div>
      {problem && <ProblemLine problem={problem} />}
      {quiet_text(state) !== '' && <p class="live-quiet">{one_line(quiet_text(state), 200)}</p>}
      {state.error && <p class="problem-line" role="alert">{one_line(state.error, 400)}</p>}
      {state.error && <p class="help">It is tried again by itself, every few seconds.</p>}
      {!state.error && (
        <div class="live-pair">
          <LivePicture {...sides} side="in" />
          <LivePicture {...sides} side="out" />
          <Chart title="Histogram of the window" series={series} top={top} words={series ? `Luma: ${spread_text(series)}.` : ''} />
          <CurveChart curve={curve} clahe={false} />
        </div>
      )}
      <div class="live-pair">
        <section class="panel" aria-labelledby="change-title">
          <h3 id="change-title">{state.error ? 'Change' : 'Change while it runs'}</h3>
          <ChangeStream name={state.name} config={state.config} token={token} on_changed={take} />
        </section>
        <div class="live-more">
          <About state={state} events={events} />
          {!state.error && <Packets state={state} />}
        </div>
      </div>
    </section>
  );
}
