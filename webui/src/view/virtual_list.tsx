// SPDX-License-Identifier: Apache-2.0
// A list of any length with few elements: rows of one height, of which those in view are drawn.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { row_after_key, scroll_to_row, window_of } from '../model/window';

interface Props<T> {
  rows: readonly T[];
  row_px: number;
  key_of: (row: T) => string;
  draw: (row: T) => ComponentChildren;
  class_of?: (row: T) => string;
  label: string;
  id: string;
  chosen?: string | null;
  on_choose?: (row: T) => void;
  follow?: boolean;  // stays at the end while the end is in view
}

// What is in view stays in view when rows come or go above it.
function use_anchor<T>({ rows, row_px, key_of, follow }: Props<T>) {
  const element = useRef<HTMLDivElement>(null);
  const height_px = use_size(element);
  const anchor = useRef<{ key: string; offset_px: number } | null>(null);
  const at_end = useRef(true);
  const remember = () => {
    const { scrollTop, clientHeight, scrollHeight } = element.current!;
    if (clientHeight === 0) return;  // not shown
    at_end.current = scrollTop + clientHeight >= scrollHeight - row_px;
    const index = Math.floor(scrollTop / row_px);
    const row = rows[index];
    anchor.current = scrollTop > 0 && row !== undefined ? { key: key_of(row), offset_px: scrollTop - index * row_px } : null;
  };
  useLayoutEffect(() => {
    const list = element.current;
    if (!list) return;
    if (follow && at_end.current) {
      list.scrollTop = list.scrollHeight;
      return;
    }
    const kept = anchor.current;
    const index = kept ? rows.findIndex((row) => key_of(row) === kept.key) : -1;
    if (kept && index >= 0) list.scrollTop = index * row_px + kept.offset_px;
  }, [rows, row_px, height_px]);
  return { element, height_px, remember };
}

function use_size(element: { current: HTMLElement | null }): number {
  const [height_px, set_height] = useState(0);
  useLayoutEffect(() => {
    const list = element.current;
    if (!list) return;
    const measured = new ResizeObserver(() => set_height(list.clientHeight));
    measured.observe(list);
    set_height(list.clientHeight);
    return () => measured.disconnect();
  }, []);
  return height_px;
}

export function VirtualList<T>(props: Props<T>) {
  const { rows, row_px, key_of, draw, class_of, label, id, chosen = null, on_choose, follow = false } = props;
  const { element, height_px, remember } = use_anchor(props);
  const [scroll_px, set_scroll] = useState(0);
  const { first, last } = window_of(follow ? Math.max(scroll_px, element.current?.scrollTop ?? 0) : scroll_px, height_px, row_px, rows.length);
  const scrolled = () => {
    remember();
    set_scroll(element.current!.scrollTop);
  };
  useEffect(() => {
    if (element.current && element.current.scrollTop !== scroll_px) set_scroll(element.current.scrollTop);
  });
  const chosen_row = chosen === null ? -1 : rows.findIndex((row) => key_of(row) === chosen);
  const key_down = (event: KeyboardEvent) => {
    if (!on_choose) return;
    const next = row_after_key(event.key, chosen_row, rows.length, Math.floor(height_px / row_px));
    if (next === null) return;
    event.preventDefault();
    on_choose(rows[next]!);
    element.current!.scrollTop = scroll_to_row(next, element.current!.scrollTop, height_px, row_px);
  };
  const drawn = rows.slice(first, last);
  const active = on_choose && chosen_row >= first && chosen_row < last ? { 'aria-activedescendant': `${id}-${chosen_row}` } : {};
  return (
    <div ref={element} class="virtual" tabIndex={0} role={on_choose ? 'listbox' : 'group'} aria-label={label} {...active}
      onScroll={scrolled} onKeyDown={key_down}>
      <div class="virtual-all" role="presentation" style={{ height: `${rows.length * row_px}px` }}>
        <div role="presentation" class="virtual-window" style={{ transform: `translateY(${first * row_px}px)` }}>
          {drawn.map((row, i) => (
            <div key={key_of(row)} id={`${id}-${first + i}`} class={`virtual-row ${class_of?.(row) ?? ''}`} style={{ height: `${row_px}px` }}
              {...(on_choose ? { role: 'option', 'aria-selected': first + i === chosen_row, 'aria-setsize': rows.length, 'aria-posinset': first + i + 1, onClick: () => on_choose(row) } : {})}>
              {draw(row)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
