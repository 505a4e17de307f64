// SPDX-License-Identifier: Apache-2.0
// A part of the picture, magnified. Places are shares of the frame, 0 to 1.

export interface View {
  scale: number;  // 1: all of it
  x: number;  // of the picture, at the frame's left edge
  y: number;
}

export const k_whole_view: View = { scale: 1, x: 0, y: 0 };
export const k_scale_max = 16;

const clamp = (value: number, least: number, most: number) => Math.min(most, Math.max(least, value));

function bounded({ scale, x, y }: View): View {
  const free = 1 - 1 / scale;
  return { scale, x: clamp(x, 0, free), y: clamp(y, 0, free) };
}

// What is under (at_x, at_y) of the frame stays there.
export function zoomed(view: View, factor: number, at_x = 0.5, at_y = 0.5): View {
  const scale = clamp(view.scale * factor, 1, k_scale_max);
  const shift = 1 / view.scale - 1 / scale;
  return bounded({ scale, x: view.x + at_x * shift, y: view.y + at_y * shift });
}

// By shares of the frame.
export const panned = (view: View, by_x: number, by_y: number): View =>
  bounded({ ...view, x: view.x - by_x / view.scale, y: view.y - by_y / view.scale });

// Keys of the picture; null for others.
export function view_after_key(key: string, view: View): View | null {
  if (key === '+' || key === '=') return zoomed(view, 2);
  if (key === '-') return zoomed(view, 0.5);
  return key === '0' ? k_whole_view : null;
}
