// SPDX-License-Identifier: Apache-2.0
// One histogram with its running share (CDF), drawn by uPlot.
import { useMemo, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { Series } from '../histogram';
import { number_text } from '../text';
import { color_of, k_chart_height_px, k_font, use_plot, type Palette } from './plot';

interface Props {
  title: string;
  series: Series | null;
  top: number;  // of the count axis; the same for both charts, so that they can be compared
  words?: string;  // the same for who cannot see it, where no table beside it has the numbers
}

const count_text = (value: number) =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)}k` : String(+value.toFixed(1));

function options_for(series: Series, top: () => number, width: number, palette: Palette, on_bar: (bar: number | null) => void): uPlot.Options {
  const last = series.levels.length * series.level_step;
  const axis = { stroke: palette.text, font: k_font, ticks: { stroke: palette.grid, width: 1, size: 4 } };
  return {
    width,
    height: k_chart_height_px,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [8, 0, 0, 0],
    scales: { x: { time: false, range: [0, last] }, count: { range: () => [0, top()] }, share: { range: [0, 100] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, splits: () => [0, last / 4, last / 2, (3 * last) / 4, last - 1] },
      { ...axis, scale: 'count', grid: { stroke: palette.grid, width: 1 }, size: 50, values: (_, all) => all.map(count_text) },
      { ...axis, scale: 'share', side: 1, grid: { show: false }, size: 44, splits: () => [0, 25, 50, 75, 100],
        values: (_, all) => all.map((value) => `${value}%`) },
    ],
    series: [
      {},
      ...series.planes.map((plane): uPlot.Series => ({
        scale: 'count', width: 0, fill: color_of(palette.bars, plane.name), points: { show: false },
        paths: uPlot.paths.bars!({ size: [1, 100], align: 1, gap: 0 }),
      })),
      ...series.planes.map((plane): uPlot.Series => ({
        scale: 'share', width: 1.75, stroke: color_of(palette.curves, plane.name), points: { show: false },
        paths: uPlot.paths.stepped!({ align: 1 }),
      })),
    ],
    hooks: { setCursor: [(plot) => on_bar(plot.cursor.idx ?? null)] },
  };
}

function bar_text(series: Series, bar: number): string {
  const low = series.levels[bar]!;
  const level = series.level_step > 1 ? `Levels ${low}–${low + series.level_step - 1}` : `Level ${low}`;
  const parts = series.planes.map((plane) => {
    const name = series.planes.length > 1 ? `${plane.name} ` : '';
    return `${name}${number_text(plane.bars[bar])} (${plane.cdf[bar]!.toFixed(1)} % up to here)`;
  });
  return `${level}: ${parts.join(', ')}`;
}

// What makes the axes and the lines other ones; a live histogram's counts do not.
const shape_of = (series: Series | null) => series && `${series.levels.length} ${series.level_step} ${series.planes.map((plane) => plane.name).join()}`;

export function Chart({ title, series, top, words = 'The numbers are in the table.' }: Props) {
  const latest_top = useRef(top);
  latest_top.current = top;
  const options = useMemo(() => series && ((width: number, palette: Palette, on_bar: (bar: number | null) => void) =>
    options_for(series, () => latest_top.current, width, palette, on_bar)), [shape_of(series)]);
  const data = useMemo(() => series &&
    [series.levels, ...series.planes.map((plane) => plane.bars), ...series.planes.map((plane) => plane.cdf)] as uPlot.AlignedData, [series, top]);
  const make = data && options ? { data, options } : null;
  const { place, at: bar } = use_plot(make);
  const hint = 'Bars: pixels at each level. Line: share of pixels up to it (CDF).';
  return (
    <figure class="panel chart">
      <figcaption><h3>{title}</h3></figcaption>
      <div ref={place} class="plot" role="img" aria-label={`${title}: histogram and cumulative distribution. ${words}`} />
      <p class="help reading">{series && bar !== null && bar < series.levels.length ? bar_text(series, bar) : hint}</p>
    </figure>
  );
}
