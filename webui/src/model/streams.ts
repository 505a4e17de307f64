// SPDX-License-Identifier: Apache-2.0
// Live streams as the API tells them, and what the view shows of them.
import { counted_series, table_curve, type Curve, type Series } from '../histogram';
import { number_text, si_text } from '../text';

export interface StreamFormat {
  sampling?: string;
  depth?: number;
  width?: number;
  height?: number;
  interlaced?: boolean;
}

export interface StreamConfig extends StreamFormat {
  listen?: string;
  interface?: string;
  backend?: string;
  dpdk_port?: string;
  sdp?: string;
  rule?: string;
  window?: { frames?: number; average_frames?: number };
  clip_limit?: number;
  scene_cut?: number;
  targets?: string[];
  cpu?: number;
  preview?: { per_second?: number; height_max?: number };
}

// A stream that failed has its configuration and its error, and nothing else.
export interface StreamState {
  name: string;
  config: StreamConfig;
  state: string;
  since?: string;
  error?: string;
  local?: string;  // ADDRESS:PORT that is open
  format?: StreamFormat;  // as it comes in
  ssrc?: number;
  packets?: Partial<Record<string, number>>;
  faults?: Partial<Record<string, number>>;  // why packets were malformed
  frames?: { whole?: number; partial?: number };
  rate?: { packets_per_second?: number; frames_per_second?: number; bits_per_second?: number };
  jitter_seconds?: number | null;
  frame_jitter_seconds?: number | null;
  delay_seconds?: { p50?: number | null; p99?: number | null; p999?: number | null };
  lut_digest?: string;
  window?: { frames?: number; average_frames?: number; filled?: number };
  changes?: { ssrc?: number; restarts?: number; format?: number; scene?: number };
  core?: { cpu?: number | null; busy?: number; quota?: number };
  histogram?: { levels?: number; counts?: number[] };
  lut?: number[];
}

export interface StreamList {
  streams?: StreamState[];
}

export const k_streams_max = 16;

export const stream_path = (name: string, rest = '') => `/v1/streams/${encodeURIComponent(name)}${rest}`;

export const state_tone = (state: string): string => new Map([['running', 'good'], ['silent', 'warn'], ['failed', 'bad']]).get(state) ?? 'muted';

// What comes in, which may be of another size than it was said to be.
export const format_of = ({ format, config }: StreamState): StreamFormat => format ?? config;

// 1920 × 1080i · YCbCr-4:2:2 · 10 bit
export function format_text({ width, height, interlaced, sampling, depth }: StreamFormat): string {
  const size = width && height ? `${number_text(width)} × ${number_text(height)}${interlaced ? ' interlaced' : ''}` : '';
  return [size, sampling ?? '', depth ? `${depth}\u00a0bit` : ''].filter(Boolean).join(' · ');
}

const k_changes = [['ssrc', 'SSRC'], ['restarts', 'restarted'], ['format', 'size'], ['scene', 'scene']] as const;

// What the sender changed, and how often.
export const changes_text = ({ changes = {} }: StreamState): string =>
  k_changes.filter(([name]) => (changes[name] ?? 0) > 0).map(([name, word]) => `${word} ${number_text(changes[name])} ×`).join(', ');

// What is to be known where nothing comes in; empty where something does.
export function quiet_text({ state, local, config }: StreamState): string {
  if (state === 'waiting') return `No packet came in yet. It listens on ${local ?? config.listen ?? 'its port'}.`;
  return state === 'silent' ? 'No packet comes in any more. What is shown is of the last that came.' : '';
}

// Levels 16 to 235, half of the pixels up to 97: a histogram in words.
export function spread_text({ levels, level_step, planes }: Series): string {
  const { bars, cdf } = planes[0]!;
  const first = bars.findIndex((count) => count > 0);
  if (first < 0) return 'nothing was counted yet';
  const last = bars.length - 1 - [...bars].reverse().findIndex((count) => count > 0);
  const high = (bar: number) => number_text(levels[bar]! + level_step - 1);
  return `levels ${number_text(levels[first])} to ${high(last)}, half of the pixels up to ${high(cdf.findIndex((share) => share >= 50))}`;
}

export function window_text({ window, config }: StreamState): string {
  const average = config.window?.average_frames ?? window?.average_frames;
  if (average) return `avg of ${number_text(average)}`;
  const frames = window?.frames ?? config.window?.frames;
  return frames ? `${number_text(window?.filled ?? 0)} of ${number_text(frames)}` : '–';
}

// The share of packets that never came, in per cent.
export function loss_text({ lost = 0, received = 0 }: Partial<Record<string, number>> = {}): string {
  if (lost === 0) return '0 %';
  const percent = (100 * lost) / (lost + received);
  return percent < 0.001 ? '< 0.001 %' : `${percent.toFixed(percent < 1 ? 3 : 1)} %`;
}

export interface CoreLoad {
  busy: number;  // share of one core
  quota: number;
  tone: string;
  warning: string;  // empty: all is well
}

// Beyond its quota a core has no room left for a burst, and packets are lost long before it is busy all of the time. So the page
// warns a tenth below the quota.
const k_near = 0.9;

export function core_load({ core }: StreamState): CoreLoad | null {
  const { busy, quota = 1 } = core ?? {};
  if (busy === undefined || quota <= 0) return null;
  const [used, allowed] = [Math.round(100 * busy), Math.round(100 * quota)];
  if (busy >= quota) return { busy, quota, tone: 'bad', warning: `Over its quota: ${used} % of ${allowed} %. Packets will be lost: lower the rate, or give it a core of its own.` };
  if (busy >= k_near * quota) return { busy, quota, tone: 'warn', warning: `Near its quota: ${used} % of ${allowed} %. Beyond it packets are lost.` };
  return { busy, quota, tone: '', warning: '' };
}

export function live_series({ histogram }: StreamState): Series | null {
  const counts = histogram?.counts ?? [];
  return counts.length > 0 ? counted_series([{ name: 'Luma', counts }], histogram?.levels ?? counts.length) : null;
}

export const live_curve = ({ lut = [] }: StreamState): Curve | null => (lut.length > 1 ? table_curve([{ name: 'Luma', lut }], lut.length - 1) : null);

export const digest_hex = ({ lut_digest = '' }: StreamState): string => /^sha-256=([0-9a-f]+)$/i.exec(lut_digest)?.[1] ?? '';

export const bits_text = (bits: number | null | undefined) => {
  const text = si_text(bits);
  return text === '–' ? text : `${text}${/\d$/.test(text) ? ' ' : ''}b/s`;
};

// What is drawn over time, of each turn.
export interface StreamSample {
  frames_per_second: number | null;
  delay_p99_us: number | null;
  lost: number;
}

const k_samples_max = 90;

export function with_stream_samples(known: ReadonlyMap<string, readonly StreamSample[]>, streams: readonly StreamState[]): ReadonlyMap<string, readonly StreamSample[]> {
  return new Map(streams.map((stream) => {
    const p99 = stream.delay_seconds?.p99 ?? null;
    const sample = { frames_per_second: stream.rate?.frames_per_second ?? null, delay_p99_us: p99 === null ? null : 1e6 * p99, lost: stream.packets?.lost ?? 0 };
    const before = known.get(stream.name) ?? [];
    const again = before.length > 0 && sample.lost < before[before.length - 1]!.lost;  // another stream of this name
    return [stream.name, [...(again ? [] : before), sample].slice(-k_samples_max)];
  }));
}

// How many were lost between one turn and the next.
export const losses_of = (samples: readonly StreamSample[]): number[] => samples.slice(1).map(({ lost }, i) => lost - samples[i]!.lost);
