// SPDX-License-Identifier: Apache-2.0
// Before and after in one frame, with a line between them that is dragged or moved by keys.
import { useRef, useState } from 'preact/hooks';

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
}

function Handle({ split, on_split }: HandleProps) {
  const key_down = (event: KeyboardEvent) => {
    const next = split_after_key(event.key, split);
    if (next === null) return;
    event.preventDefault();
    on_split(next);
  };
  return (
    <div class="handle" role="slider" tabIndex={0} aria-label="Line between before and after" aria-orientation="horizontal"
      aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(split)}
      aria-valuetext={`${Math.round(split)} % before, ${100 - Math.round(split)} % after`} onKeyDown={key_down}>
      <span aria-hidden="true"><svg viewBox="0 0 24 24"><path d="m9 6-6 6 6 6M15 6l6 6-6 6" /></svg></span>
    </div>
  );
}

export function Compare({ before_url, after_url, name }: Props) {
  const [split, set_split] = useState(50);
  const [size, set_size] = useState<{ width: number; height: number } | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const both = before_url !== null && after_url !== null;
  const move = (event: PointerEvent) => {
    const box = frame.current?.getBoundingClientRect();
    if (both && box && box.width > 0) set_split(clamp((100 * (event.clientX - box.left)) / box.width));
  };
  const press = (event: PointerEvent) => {
    if (!both || event.button !== 0) return;
    frame.current?.setPointerCapture(event.pointerId);
    move(event);
  };
  const loaded = (event: Event) => {
    const image = event.currentTarget as HTMLImageElement;
    set_size({ width: image.naturalWidth, height: image.naturalHeight });
  };
  const ratio = size ? size.width / size.height : 1.5;
  const small = size !== null && size.width < 200 && size.height < 200;
  return (
    <div ref={frame} class={`frame${both ? ' both' : ''}${small ? ' small' : ''}`}
      style={{ '--ratio': String(ratio), '--split': `${both ? split : 0}%` }}
      onPointerDown={press} onPointerMove={(event) => event.buttons === 1 && move(event)}>
      {after_url && <img src={after_url} alt={`${name}, equalized`} class="after" draggable={false} onLoad={loaded} />}
      {before_url && (
        <img src={before_url} alt={`${name}, before`} class="before" draggable={false} onLoad={loaded} />
      )}
      {before_url && <span class="tag left" aria-hidden="true">Before</span>}
      {after_url && <span class="tag right" aria-hidden="true">After</span>}
      {both && <Handle split={split} on_split={set_split} />}
    </div>
  );
}
