// SPDX-License-Identifier: Apache-2.0
// What the charts share: colours of the theme, and a uPlot that follows its place, the theme and its data.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { use_media } from '../use_media';

export const k_chart_height_px = 220;
export const k_font = '12px system-ui, sans-serif';

export interface Palette {
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

export const color_of = (colors: Record<string, string>, name: string) => colors[name.toLowerCase()] ?? colors.other!;

export interface PlotMaker {
  data: uPlot.AlignedData;
  options: (width_px: number, palette: Palette, on_point: (at: number | null) => void) => uPlot.Options;
}

// Draws anew when the options are other ones; other data alone go into the plot that is there. `at`: the point under the pointer.
export function use_plot(make: PlotMaker | null) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<{ plot: uPlot; data: uPlot.AlignedData } | null>(null);
  const [at, set_at] = useState<number | null>(null);
  const dark = use_media('(prefers-color-scheme: dark)');
  useLayoutEffect(() => {
    const element = place.current;
    if (!element || !make) return;
    const plot = new uPlot(make.options(Math.max(1, element.clientWidth), read_palette(), set_at), make.data, element);
    drawn.current = { plot, data: make.data };
    const resized = new ResizeObserver(() => element.clientWidth > 0 && plot.setSize({ width: element.clientWidth, height: k_chart_height_px }));
    resized.observe(element);
    return () => {
      drawn.current = null;
      resized.disconnect();
      plot.destroy();
    };
  }, [make?.options, dark]);
  useLayoutEffect(() => {
    if (!make || !drawn.current || drawn.current.data === make.data) return;
    drawn.current.data = make.data;
    drawn.current.plot.setData(make.data);
  }, [make?.data]);
  return { place, at };
}
