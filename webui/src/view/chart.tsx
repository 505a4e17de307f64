// SPDX-License-Identifier: Apache-2.0
// One histogram with its running share (CDF), drawn by uPlot.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Series } from '../histogram';
import { number_text } from '../text';

interface Props {
  title: string;
  series: Series | null;
  top: number;  // of the count axis; the same for both charts, so that they can be compared
}

const k_height_px = 220;
const k_font = '12px system-ui, sans-serif';

interface Palette {
  text: string;
  grid: string;
  bars: Record<string, string>;
  curves: Record<string, string>;
}

function read_palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const by_channel = (kind: string) => ({
    red: color(`--${kind}-red`), green: color(`--${kind}-green`), blue: color(`--${kind}-blue`), other: color(`--${kind}`),
  });
  return { text: color('--muted'), grid: color('--grid'), bars: by_channel('bar'), curves: by_channel('curve') };
}

const color_of = (colors: Record<string, string>, name: string) => colors[name.toLowerCase()] ?? colors.other!;

const count_text = (value: number) =>
  value >= 1e6 ? `${+(value / 1e6).toFixed(1)}M` : value >= 1e3 ? `${+(value / 1e3).toFixed(1)}k` : String(+value.toFixed(1));

function options_for(series: Series, top: number, width: number, palette: Palette, on_bar: (bar: number | null) => void): uPlot.Options {
  const last = series.levels.length * series.level_step;
  const axis = { stroke: palette.text, font: k_font, ticks: { stroke: palette.grid, width: 1, size: 4 } };
  return {
    width,
    height: k_height_px,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [8, 0, 0, 0],
    scales: { x: { time: false, range: [0, last] }, count: { range: [0, top] }, share: { range: [0, 100] } },
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

// Counts up when the system changes between light and dark: a canvas does not follow by itself.
function use_scheme(): number {
  const [changes, set_changes] = useState(0);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => set_changes((count) => count + 1);
    dark.addEventListener('change', changed);
    return () => dark.removeEventListener('change', changed);
  }, []);
  return changes;
}

export function Chart({ title, series, top }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [bar, set_bar] = useState<number | null>(null);
  const scheme = use_scheme();
  useLayoutEffect(() => {
    const element = place.current;
    if (!element || !series) return;
    const data: uPlot.AlignedData = [
      series.levels, ...series.planes.map((plane) => plane.bars), ...series.planes.map((plane) => plane.cdf),
    ];
    const plot = new uPlot(options_for(series, top, element.clientWidth, read_palette(), set_bar), data, element);
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: k_height_px }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [series, top, scheme]);
  const hint = 'Bars: pixels at each level. Line: share of pixels up to it (CDF).';
  return (
    <figure class="panel chart">
      <figcaption><h3>{title}</h3></figcaption>
      <div ref={place} class="plot" role="img" aria-label={`${title}: histogram and cumulative distribution. The numbers are in the table.`} />
      <p class="help reading">{series && bar !== null && bar < series.levels.length ? bar_text(series, bar) : hint}</p>
    </figure>
  );
}
