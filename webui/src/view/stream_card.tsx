// SPDX-License-Identifier: Apache-2.0
// One stream in short: what comes in, what is lost, how long it takes, and how much room its core has.
import { one_line } from '../feed/event';
import { bits_text, core_load, format_of, format_text, losses_of, loss_text, state_tone, window_text, type StreamSample, type StreamState } from '../model/streams';
import { number_text, short_time_text, si_text, took_text } from '../text';
import { Chip, Spark } from './bits';

const last = <T,>(values: readonly T[]): T | undefined => values[values.length - 1];
const percent = (share: number) => `${Math.round(100 * share)} %`;

export function CoreGauge({ state }: { state: StreamState }) {
  const load = core_load(state);
  if (!load) return null;
  const cpu = state.core?.cpu;
  const label = `${typeof cpu === 'number' ? `CPU ${cpu}` : 'Core'} busy ${percent(load.busy)}, quota ${percent(load.quota)}`;
  return (
    <div class="core">
      <span>{typeof cpu === 'number' ? `CPU ${cpu}` : 'Core'}</span>
      <span class={`gauge core-gauge ${load.tone}`} role="meter" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(100 * load.busy)} aria-label={label}>
        <i style={{ width: `${Math.min(100, 100 * load.busy)}%` }} /><b style={{ left: `${Math.min(100, 100 * load.quota)}%` }} />
      </span>
      <span class={load.tone ? `tone-${load.tone}` : ''}>{percent(load.busy)} <small>of {percent(load.quota)}</small></span>
      {load.warning !== '' && <p class={`core-warning ${load.tone}`}>{load.warning}</p>}
    </div>
  );
}

function Stats({ state }: { state: StreamState }) {
  const { rate, packets, delay_seconds: delay } = state;
  const lost = packets?.lost ?? 0;
  const all: Array<[string, string, string]> = [
    ['Frames/s', number_text(rate?.frames_per_second, 1), ''], ['Packets/s', si_text(rate?.packets_per_second), ''], ['Rate', bits_text(rate?.bits_per_second), ''],
    ['Lost', loss_text(packets), lost > 0 ? 'bad' : ''], ['Jitter', short_time_text(state.jitter_seconds), ''], ['Window', window_text(state), ''],
    ['Delay p50', short_time_text(delay?.p50), ''], ['p99', short_time_text(delay?.p99), ''], ['p99.9', short_time_text(delay?.p999), ''],
  ];
  return <dl class="stats live-stats">{all.map(([name, value, tone]) => <div key={name}><dt>{name}</dt><dd class={tone}>{value}</dd></div>)}</dl>;
}

function Sparks({ samples }: { samples: readonly StreamSample[] }) {
  const lost = losses_of(samples);
  const now = last(samples);
  return (
    <div class="sparks">
      <Spark label="Frames/s" values={samples.map((sample) => sample.frames_per_second)} text={number_text(now?.frames_per_second, 1)} />
      <Spark label="Delay p99" values={samples.map((sample) => sample.delay_p99_us)} text={short_time_text(now?.delay_p99_us == null ? null : now.delay_p99_us / 1e6)} tone="second" />
      <Spark label="Lost, each 2 s" values={lost} text={number_text(last(lost) ?? 0)} tone={(last(lost) ?? 0) > 0 ? 'second' : ''} />
    </div>
  );
}

interface Props {
  state: StreamState;
  samples: readonly StreamSample[];
  chosen: boolean;
  now_ms: number;
  on_choose: () => void;
}

export function StreamCard({ state, samples, chosen, now_ms, on_choose }: Props) {
  const since_ms = Date.parse(state.since ?? '');
  return (
    <li class={`panel live-card ${state_tone(state.state)}${chosen ? ' chosen' : ''}`} aria-label={`Stream ${one_line(state.name, 64)}`}>
      <div class="panel-head">
        <h3><button type="button" class="live-pick" aria-pressed={chosen} onClick={on_choose}><bdi>{one_line(state.name, 64)}</bdi></button></h3>
        {!Number.isNaN(since_ms) && <small>{took_text(Math.max(0, now_ms - since_ms))}</small>}
        <Chip tone={state_tone(state.state)}>{one_line(state.state, 20)}</Chip>
      </div>
      <p class="help">{one_line([format_text(format_of(state)), state.config.backend ?? ''].filter(Boolean).join(' · '), 120)}</p>
      {state.error && <p class="problem-line">{one_line(state.error, 300)}</p>}
      {!state.error && (
        <>
          <Stats state={state} />
          <CoreGauge state={state} />
          <Sparks samples={samples} />
        </>
      )}
    </li>
  );
}
