// SPDX-License-Identifier: Apache-2.0
// Before and after in one frame, with a line between them that is dragged or moved by keys.
import { useEffect, useRef, useState } from 'preact/hooks';
import { k_scale_max, k_whole_view, panned, view_after_key, zoomed, type View } from '../work/zoom';

interface Props {
  before_url: string | null;
  after_url: string | null;
  name: string;
}

const clamp = (value: number) => Math.min(100, Math.max(0, value));

// What a key does to the position of the line; null for keys that are not the slider's.
export function split_after_key(key: string, split: number): number | null {
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowDown':
      return clamp(split - 2);
    case 'ArrowRight':
    case 'ArrowUp':
      return clamp(split + 2);
    case 'PageDown':
      return clamp(split - 10);
    case 'PageUp':
      return clamp(split + 10);
    case 'Home':
      return 0;
    case 'End':
      return 100;
    default:
      return null;
  }
}

interface HandleProps {
  split: number;
  on_split: (split: number) => void;
  on_press: (event: PointerEvent) => void;
}

function Handle({ split, on_split, on_press }: HandleProps) {
  const key_down = (event: KeyboardEvent) => {
    const next = split_after_key(event.key, split);
    if (next === null) return;
    event.preventDefault();
    on_split(next);
  };
  return (
    <div class="handle" role="slider" tabIndex={0} aria-label="Line between before and after" aria-orientation="horizontal"
      aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(split)} onPointerDown={on_press}
      aria-valuetext={`${Math.round(split)} % before, ${100 - Math.round(split)} % after`} onKeyDown={key_down}>
      <span aria-hidden="true"><svg viewBox="0 0 24 24"><path d="m9 6-6 6 6 6M15 6l6 6-6 6" /></svg></span>
    </div>
  );
}

function ZoomBar({ view, on_view }: { view: View; on_view: (view: View) => void }) {
  return (
    <div class="zoom-bar" role="group" aria-label="Zoom" onPointerDown={(event) => event.stopPropagation()}>
      <button type="button" aria-label="Zoom out" disabled={view.scale <= 1} onClick={() => on_view(zoomed(view, 0.5))}>−</button>
      <button type="button" aria-label={`${Math.round(100 * view.scale)} %, show all of it`} onClick={() => on_view(k_whole_view)}>{Math.round(100 * view.scale)} %</button>
      <button type="button" aria-label="Zoom in" disabled={view.scale >= k_scale_max} onClick={() => on_view(zoomed(view, 2))}>+</button>
    </div>
  );
}

// Pinching, and the wheel with Ctrl: without it the wheel is the page's.
function use_wheel(frame: { current: HTMLDivElement | null }, on_wheel: (factor: number, x: number, y: number) => void) {
  const latest = useRef(on_wheel);
  latest.current = on_wheel;
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const turned = (event: WheelEvent) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const box = element.getBoundingClientRect();
      latest.current(2 ** (-event.deltaY / 200), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    };
    element.addEventListener('wheel', turned, { passive: false });
    return () => element.removeEventListener('wheel', turned);
  }, []);
}

// A press on the line, or anywhere in the whole picture, moves the line; in a magnified picture it moves the picture.
function use_drag(frame: { current: HTMLDivElement | null }, both: boolean, set_split: (split: number) => void, set_view: (by: (view: View) => View) => void, view: View) {
  const last = useRef<{ x: number; y: number; split: boolean } | null>(null);
  const move = (event: PointerEvent) => {
    const box = frame.current?.getBoundingClientRect();
    const from = last.current;
    if (!box || box.width <= 0 || !from) return;
    if (from.split) return set_split(clamp((100 * (event.clientX - box.left)) / box.width));
    const [by_x, by_y] = [(event.clientX - from.x) / box.width, (event.clientY - from.y) / box.height];
    last.current = { ...from, x: event.clientX, y: event.clientY };
    set_view((now) => panned(now, by_x, by_y));
  };
  const press = (event: PointerEvent, on_line = false) => {
    if (event.button !== 0 || (!both && view.scale === 1)) return;
    event.stopPropagation();
    frame.current?.setPointerCapture(event.pointerId);
    last.current = { x: event.clientX, y: event.clientY, split: both && (on_line || view.scale === 1) };
    if (last.current.split) move(event);
  };
  const release = () => void (last.current = null);
  return { press, move, release };
}

export function Compare({ before_url, after_url, name }: Props) {
  const [split, set_split] = useState(50);
  const [view, set_view] = useState(k_whole_view);
  const [size, set_size] = useState<{ width: number; height: number } | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const both = before_url !== null && after_url !== null;
  const { press, move, release } = use_drag(frame, both, set_split, set_view, view);
  use_wheel(frame, (factor, x, y) => set_view((now) => zoomed(now, factor, x, y)));
  const loaded = (event: Event) => {
    const image = event.currentTarget as HTMLImageElement;
    set_size({ width: image.naturalWidth, height: image.naturalHeight });
  };
  const key_down = (event: KeyboardEvent) => {
    const next = event.ctrlKey || event.metaKey ? null : view_after_key(event.key, view);
    if (next !== null) set_view(next);
  };
  const ratio = size ? size.width / size.height : 1.5;
  const small = (size !== null && size.width < 200 && size.height < 200) || view.scale >= 4;
  const magnified = { transform: `scale(${view.scale}) translate(${-100 * view.x}%, ${-100 * view.y}%)` };
  const kinds = `${both ? ' both' : ''}${small ? ' small' : ''}${view.scale > 1 ? ' magnified' : ''}`;
  return (
    <div ref={frame} class={`frame${kinds}`} style={{ '--ratio': String(ratio), '--split': `${both ? split : 0}%` }}
      onPointerDown={press} onPointerMove={move} onPointerUp={release} onPointerCancel={release} onKeyDown={key_down}>
      {after_url && <div class="layer"><img src={after_url} alt={`${name}, equalized`} class="after" style={magnified} draggable={false} onLoad={loaded} /></div>}
      {before_url && (
        <div class="layer upper"><img src={before_url} alt={`${name}, before`} class="before" style={magnified} draggable={false} onLoad={loaded} /></div>
      )}
      {before_url && <span class="tag left" aria-hidden="true">Before</span>}
      {after_url && <span class="tag right" aria-hidden="true">After</span>}
      {both && <Handle split={split} on_split={set_split} on_press={(event) => press(event, true)} />}
      {(before_url || after_url) && <ZoomBar view={view} on_view={set_view} />}
    </div>
  );
}
