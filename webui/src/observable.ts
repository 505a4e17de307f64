// SPDX-License-Identifier: Apache-2.0
// A value that views watch without being drawn again for what they do not show.
import { useEffect, useState } from 'preact/hooks';

export class Observable<T extends object> {
  private readonly listeners = new Set<() => void>();

  constructor(private state: T) {}

  now(): T {
    return this.state;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  protected change(change: Partial<T>): void {
    this.state = { ...this.state, ...change };
    for (const listener of [...this.listeners]) listener();
  }
}

// A part of the value; the view is drawn again when that part is another one. A view that is not `active` stands still.
export function use_part<T extends object, P>(source: Observable<T>, select: (value: T) => P, active = true): P {
  const [part, set_part] = useState<P>(() => select(source.now()));
  useEffect(() => {
    if (!active) return;
    const look = () => set_part(() => select(source.now()));
    look();
    return source.subscribe(look);
  }, [source, active]);
  return part;
}
