// SPDX-License-Identifier: Apache-2.0
// Which rows of a long list are drawn: those in view and a few around them.

export interface ListWindow {
  first: number;
  last: number;  // one behind
}

const k_around = 6;
export const k_rows_max = 120;  // ever drawn, however high the view is

export function window_of(scroll_px: number, height_px: number, row_px: number, count: number): ListWindow {
  const top = Math.floor(Math.max(0, scroll_px) / row_px);
  const first = Math.min(Math.max(0, top - k_around), Math.max(0, count - 1));
  const wanted = Math.ceil(height_px / row_px) + 2 * k_around;
  return { first, last: Math.min(count, first + Math.min(k_rows_max, wanted)) };
}

// What a key does to the chosen row; null for keys that are not the list's. -1: none is chosen yet.
export function row_after_key(key: string, row: number, count: number, page: number): number | null {
  const clamp = (wanted: number) => Math.min(count - 1, Math.max(0, wanted));
  if (count === 0) return null;
  switch (key) {
    case 'ArrowDown':
      return clamp(row + 1);
    case 'ArrowUp':
      return clamp(row < 0 ? 0 : row - 1);
    case 'PageDown':
      return clamp(Math.max(0, row) + page);
    case 'PageUp':
      return clamp(row - page);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}

// Where to scroll to so that a row is in view.
export function scroll_to_row(row: number, scroll_px: number, height_px: number, row_px: number): number {
  if (row * row_px < scroll_px) return row * row_px;
  return (row + 1) * row_px > scroll_px + height_px ? (row + 1) * row_px - height_px : scroll_px;
}
