// SPDX-License-Identifier: Apache-2.0
// Live video: the streams of this node as cards, one of them in detail.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FeedSource } from '../feed/source';
import type { StreamSource, StreamsState } from '../model/stream_source';
import { k_streams_max, type StreamState } from '../model/streams';
import { use_part } from '../observable';
import { use_clock } from '../use_media';
import { Empty, ProblemLine } from './bits';
import { CopyButton } from './copy_button';
import { StreamCard } from './stream_card';
import { StreamDetail } from './stream_detail';
import { AddStream } from './stream_forms';

const k_events_shown = 6;

// The last events of the kind, newest first.
function use_stream_events(feed: FeedSource, name: string | null, active: boolean) {
  const all = use_part(feed, (state) => state.feed.all.events, active);
  return useMemo(() => {
    const found = [];
    for (let i = all.length - 1; i >= 0 && found.length < k_events_shown; i--) {
      const event = all[i]!;
      if (event.kind === 'stream' && (name === null || event.subject === name)) found.push(event);
    }
    return found;
  }, [all, name]);
}

function Command({ text }: { text: string }) {
  return <div class="command"><pre>{text}</pre><CopyButton text={text} label="Copy" /></div>;
}

// Short lines, so that a narrow window breaks none of them.
const lines = (...all: string[]) => all.join(' \\\n  ');
const k_format = ['--size 1280x720 --depth 8', '--sampling YCbCr-4:2:2'];
const k_set_command = lines('histoctl stream set camera', '--listen 0.0.0.0:5004', ...k_format);
const send_command = (host: string) => lines('histoctl stream send pattern:bars', `--to ${host}:5004`, ...k_format, '--rate 30 --loop');

function Begin({ on_add }: { on_add: () => void }) {
  return (
    <section class="panel live-begin" aria-labelledby="begin-title">
      <h3 id="begin-title">No streams yet</h3>
      <p class="help">A stream is uncompressed video as RTP (RFC 4175). It is equalized packet by packet, and sent on. Two commands begin one:</p>
      <ol>
        <li>This node listens. It needs a token of the role admin:<Command text={k_set_command} /></li>
        <li>A test picture is played to it, 30 times a second, until Ctrl-C:<Command text={send_command(location.hostname)} /></li>
      </ol>
      <p class="help">Image files are sent by their names in place of the pattern. Cameras, GStreamer’s rtpvrawpay and ffmpeg’s rtp of raw video do as well.</p>
      <button type="button" class="primary live-opener" onClick={on_add}>Add a stream</button>
    </section>
  );
}

interface Props {
  streams: StreamSource;
  feed: FeedSource;
  token: string;
  active: boolean;
}

interface ListProps {
  state: StreamsState;
  chosen: string | null;
  active: boolean;
  on_choose: (name: string) => void;
  on_add: () => void;
}

function Cards({ state, chosen, active, on_choose, on_add }: ListProps) {
  const now_ms = use_clock(active);
  const { streams, samples } = state;
  return (
    <div class="live-list">
      <div class="panel-head">
        <h3>Streams</h3><small>{streams.length} of at most {k_streams_max}</small>
        <button type="button" class="live-opener" disabled={streams.length >= k_streams_max} onClick={on_add}>Add a stream</button>
      </div>
      <ul aria-label="Streams">
        {streams.map((stream) => (
          <StreamCard key={stream.name} state={stream} samples={samples.get(stream.name) ?? []} chosen={stream.name === chosen} now_ms={now_ms}
            on_choose={() => on_choose(stream.name)} />
        ))}
      </ul>
    </div>
  );
}

const whole = (state: StreamsState) => state;

export function Live({ streams: source, feed, token, active }: Props) {
  const state = use_part(source, whole, active);
  const [wanted, set_wanted] = useState<string | null>(null);
  const [adding, set_adding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const news = use_stream_events(feed, null, active)[0]?.key;
  useEffect(() => {
    source.watch(active);
    return () => source.watch(false);
  }, [active]);
  useEffect(() => {
    if (active && news !== undefined) void source.look();
  }, [news]);
  // Where one is below the other, the reader is led from the card to its stream.
  useEffect(() => {
    if (wanted !== null && matchMedia('(max-width: 1100px)').matches) document.getElementById('live-name')?.scrollIntoView();
  }, [wanted]);
  const { streams, problem, there } = state;
  const listed = streams.find((stream) => stream.name === wanted) ?? streams[0] ?? null;
  const events = use_stream_events(feed, listed?.name ?? '', active);
  const choose = (name: string) => {
    set_wanted(name);
    set_adding(false);
  };
  const added = (stream: StreamState) => {
    choose(stream.name);
    heading.current?.focus();
    void source.look();
  };
  const leave = () => {
    set_adding(false);
    requestAnimationFrame(() => document.querySelector<HTMLElement>('.live-opener')?.focus());
  };
  const removed = () => {
    heading.current?.focus();
    void source.look();
  };
  return (
    <div class={`view view-live${streams.length > 0 ? ' with-list' : ''}`}>
      <h2 ref={heading} tabIndex={-1} class="off-screen">Live</h2>
      {problem && <ProblemLine problem={problem} />}
      {there !== true && !problem && <div class="panel"><Empty title="Asking the node">Its streams are shown as soon as it answers.</Empty></div>}
      {streams.length > 0 && <Cards state={state} chosen={adding ? null : listed!.name} active={active} on_choose={choose} on_add={() => set_adding(true)} />}
      {adding && <AddStream taken={streams.map((stream) => stream.name)} token={token} on_added={added} on_close={leave} />}
      {!adding && listed && (
        <StreamDetail key={listed.name} token={token} listed={listed} events={events} active={active} on_removed={removed}
          on_problem={({ status }) => (status === 401 ? source.on_signed_out() : status === 404 && void source.look())} />
      )}
      {!adding && there === true && streams.length === 0 && !problem && <Begin on_add={() => set_adding(true)} />}
    </div>
  );
}
