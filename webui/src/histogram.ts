// SPDX-License-Identifier: Apache-2.0
// The answer of POST /v1/histogram, and what the charts draw of it.

export interface Plane {
  page: number;
  channel: number;  // 0, but where each channel is counted by itself
  levels: number;
  counted: number;
  masked: number;
  min: number;
  max: number;
  mean: number;
  stddev: number;
  median: number;
  entropy_bits: number;
  histogram: number[];
  cdf: number[];
  lut?: number[];  // empty where there is a table for each tile
}

export interface Counts {
  format: string;
  width: number;
  height: number;
  depth: number;
  channels: number;
  pages: number;
  planes: Plane[];
}

// What a plane is called: by its colour where there are three, else by what was counted.
export function plane_name(counts: Counts, plane: Plane, color: string): string {
  const planes = counts.planes.filter((other) => other.page === plane.page).length;
  if (planes === 3) return ['Red', 'Green', 'Blue'][plane.channel] ?? `Band ${plane.channel + 1}`;
  if (planes > 1) return `Band ${plane.channel + 1}`;
  if (counts.channels < 3 || color === 'gray') return 'Gray';
  return color === 'lab' ? 'L*' : 'Luma';
}

export const k_chart_bins = 256;

// Sums equal runs, so that every histogram has at most `bins` bars. The total stays.
export function fold(histogram: readonly number[], bins = k_chart_bins): number[] {
  if (histogram.length <= bins) return [...histogram];
  const run = Math.ceil(histogram.length / bins);
  const folded = new Array<number>(Math.ceil(histogram.length / run)).fill(0);
  histogram.forEach((count, i) => (folded[Math.floor(i / run)]! += count));
  return folded;
}

// The running share of pixels, 0 to 100 per cent.
export function cdf_percent(bars: readonly number[]): number[] {
  const total = bars.reduce((sum, count) => sum + count, 0);
  let running = 0;
  return bars.map((count) => {
    running += count;
    return total > 0 ? (100 * running) / total : 0;
  });
}

export interface Curve {
  levels: number[];  // in
  planes: Array<{ name: string; values: number[] }>;  // out
  top: number;  // the highest level
}

// The first page's tables: which level becomes which. Null where there is none for the whole image.
export function lut_curve(counts: Counts, color: string): Curve | null {
  const first = counts.planes[0];
  const planes = counts.planes.filter((plane) => plane.page === first?.page && (plane.lut?.length ?? 0) > 1);
  if (!first || planes.length === 0) return null;
  return table_curve(planes.map((plane) => ({ name: plane_name(counts, plane, color), lut: plane.lut! })), counts.depth === 16 ? 65535 : 255);
}

// Tables of one length, at so many levels as a chart has room for.
export function table_curve(tables: ReadonlyArray<{ name: string; lut: readonly number[] }>, top: number): Curve {
  const entries = tables[0]!.lut.length;
  const every = Math.ceil(entries / k_chart_bins);
  const picked = Array.from({ length: Math.ceil(entries / every) }, (_, i) => Math.min(entries - 1, (i + 1) * every - 1));
  return {
    levels: picked.map((i) => (i * top) / (entries - 1)),
    planes: tables.map(({ name, lut }) => ({ name, values: picked.map((i) => lut[i] ?? 0) })),
    top,
  };
}

export interface Series {
  levels: number[];  // the lowest level of each bar
  level_step: number;
  planes: Array<{ name: string; bars: number[]; cdf: number[] }>;
}

// The first page's planes on one axis of levels. The answer may hold folded arrays for 16 bit.
export function chart_series(counts: Counts, color: string): Series | null {
  const first = counts.planes[0];
  if (!first) return null;
  const planes = counts.planes
    .filter((plane) => plane.page === first.page)
    .map((plane) => ({ name: plane_name(counts, plane, color), counts: plane.histogram }));
  return counted_series(planes, counts.depth === 16 ? 65536 : 256);
}

export function counted_series(counted: ReadonlyArray<{ name: string; counts: readonly number[] }>, levels: number): Series {
  const planes = counted.map(({ name, counts }) => ({ name, bars: fold(counts) })).map((plane) => ({ ...plane, cdf: cdf_percent(plane.bars) }));
  const step = levels / planes[0]!.bars.length;
  return { levels: planes[0]!.bars.map((_, i) => i * step), level_step: step, planes };
}

// A height for the count axis that one crowded level does not flatten: the tallest bar, but no more than
// six times the one that 98 % of the filled bars stay under.
export function axis_top(all: readonly (Series | null)[]): number {
  const filled = all.flatMap((series) => series?.planes.flatMap((plane) => plane.bars.filter((bar) => bar > 0)) ?? []);
  if (filled.length === 0) return 1;
  filled.sort((a, b) => a - b);
  const usual = filled[Math.floor(0.98 * (filled.length - 1))]!;
  return Math.min(filled[filled.length - 1]!, 6 * usual);
}
