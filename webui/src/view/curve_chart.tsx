// SPDX-License-Identifier: Apache-2.0
// The lookup table as a curve: which level becomes which.
import { useMemo } from 'preact/hooks';
import type uPlot from 'uplot';
import type { Curve } from '../histogram';
import { number_text } from '../text';
import { color_of, k_chart_height_px, k_font, use_plot, type Palette } from './plot';

function options_for(curve: Curve, width: number, palette: Palette, on_level: (level: number | null) => void): uPlot.Options {
  const { top } = curve;
  const axis = { stroke: palette.text, font: k_font, ticks: { stroke: palette.grid, width: 1, size: 4 } };
  const splits = () => [0, 1, 2, 3, 4].map((quarter) => Math.round((quarter * top) / 4));
  return {
    width,
    height: k_chart_height_px,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [8, 14, 0, 0],
    scales: { x: { time: false, range: [0, top] }, out: { range: [0, top] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, splits },
      { ...axis, scale: 'out', grid: { stroke: palette.grid, width: 1 }, size: 50, splits },
    ],
    series: [
      {},
      { scale: 'out', width: 1, stroke: palette.text, dash: [3, 5], points: { show: false } },
      ...curve.planes.map((plane): uPlot.Series => ({ scale: 'out', width: 1.75, stroke: color_of(palette.curves, plane.name), points: { show: false } })),
    ],
    hooks: { setCursor: [(plot) => on_level(plot.cursor.idx ?? null)] },
  };
}

function level_text(curve: Curve, at: number): string {
  const out = curve.planes.map((plane) => `${curve.planes.length > 1 ? `${plane.name} ` : ''}${number_text(plane.values[at])}`);
  return `Level ${number_text(curve.levels[at])} becomes ${out.join(', ')}`;
}

export function CurveChart({ curve, clahe }: { curve: Curve | null; clahe: boolean }) {
  const shape = curve && `${curve.top} ${curve.planes.map((plane) => plane.name).join()}`;
  const options = useMemo(() => curve && ((width: number, palette: Palette, on_level: (level: number | null) => void) =>
    options_for(curve, width, palette, on_level)), [shape]);
  const data = useMemo(() => curve && [curve.levels, curve.levels, ...curve.planes.map((plane) => plane.values)] as uPlot.AlignedData, [curve]);
  const make = data && options ? { data, options } : null;
  const { place, at } = use_plot(make);
  const hint = clahe ? 'CLAHE has a table for each tile, and none for the whole.' : 'Across: the level before. Up: the level after. Dashed: unchanged.';
  return (
    <figure class="panel chart">
      <figcaption><h3>Lookup table</h3></figcaption>
      <div ref={place} class="plot" role="img" aria-label="Lookup table: the level after for each level before" />
      <p class="help reading">{curve && at !== null && at < curve.levels.length ? level_text(curve, at) : hint}</p>
    </figure>
  );
}
