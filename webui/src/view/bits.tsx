// SPDX-License-Identifier: Apache-2.0
// Small things that several views show.
import type { ComponentChildren } from 'preact';
import type { LinkState } from '../feed/link';
import type { Problem } from '../problem';

export function Chip({ tone, title, children }: { tone: string; title?: string; children: ComponentChildren }) {
  return <span class={`chip ${tone}`} title={title ?? ''}><i aria-hidden="true" />{children}</span>;
}

// How much of something is used; drawn by hand, since browsers draw <meter> each in its own way.
export function Gauge({ value, most, label }: { value: number; most: number; label: string }) {
  const top = Math.max(1, most);
  return (
    <span class="gauge" role="meter" aria-valuemin={0} aria-valuemax={top} aria-valuenow={value} aria-label={label}>
      <i style={{ width: `${Math.min(100, (100 * value) / top)}%` }} />
    </span>
  );
}

// What there is to see when there is nothing, and what to do about it.
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return <div class="empty"><h3>{title}</h3><p>{children}</p></div>;
}

// Why a view of the feed is empty, where the feed itself is the reason; else what the view says of its own.
export function FeedEmpty({ link, title, children }: { link: LinkState; title: string; children: ComponentChildren }) {
  if (link.phase !== 'offline') return <Empty title={title}>{children}</Empty>;
  const { problem } = link;
  const advice = problem?.status === 403 ? 'This token may not read events: sign in with one of the role read.' : 'It is tried again by itself; “Feed Offline” above tries at once.';
  return <Empty title="The feed is offline">{problem ? `${problem.title}. ${problem.detail} ` : 'The connection was closed. '}{advice}</Empty>;
}

export function ProblemLine({ problem }: { problem: Problem }) {
  return <p class="problem-line" role="alert"><b>{problem.title}.</b> {problem.detail || 'It is asked again by itself.'}</p>;
}

export interface SparkProps {
  label: string;
  values: ReadonlyArray<number | null>;
  text: string;  // the latest value, in words
  top?: number;  // of the axis; the highest value where it is not given
  tone?: string;
}

const k_slots_min = 30;  // a minute
const k_width = 120;
const k_height = 32;

// The points of the line, broken where there is no value, the newest at the right edge.
export function spark_path(values: ReadonlyArray<number | null>, top: number, slots: number): string {
  const start = slots - values.length;
  let path = '';
  let down = false;
  values.forEach((value, i) => {
    if (value === null) return void (down = false);
    const x = ((start + i) * k_width) / Math.max(1, slots - 1);
    const y = k_height - 1 - (Math.min(value, top) / top) * (k_height - 3);
    path += `${down ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (!down && (i + 1 >= values.length || values[i + 1] === null)) path += 'h0.01';
    down = true;
  });
  return path;
}

export function Spark({ label, values, text, top, tone = '' }: SparkProps) {
  const most = top ?? Math.max(1e-9, ...values.map((value) => value ?? 0));
  return (
    <div class={`spark ${tone}`}>
      <span class="spark-label">{label}</span><b>{text}</b>
      <svg viewBox={`0 0 ${k_width} ${k_height}`} preserveAspectRatio="none" role="img" aria-label={`${label}, at most the last three minutes; now ${text}`}>
        <path d={spark_path(values, most, Math.max(k_slots_min, values.length))} />
      </svg>
    </div>
  );
}
