// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';

export function use_media(query: string): boolean {
  const [matches, set_matches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => set_matches(media.matches);
    changed();
    media.addEventListener('change', changed);
    return () => media.removeEventListener('change', changed);
  }, [query]);
  return matches;
}

// The time, told anew each second while something shown depends on it.
export function use_clock(active: boolean): number {
  const [now_ms, set_now] = useState(Date.now);
  useEffect(() => {
    if (!active) return;
    set_now(Date.now());
    const timer = setInterval(() => set_now(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [active]);
  return now_ms;
}

// False while the browser shows another page.
export function use_visible(): boolean {
  const [visible, set_visible] = useState(() => document.visibilityState === 'visible');
  useEffect(() => {
    const changed = () => set_visible(document.visibilityState === 'visible');
    changed();
    document.addEventListener('visibilitychange', changed);
    return () => document.removeEventListener('visibilitychange', changed);
  }, []);
  return visible;
}
