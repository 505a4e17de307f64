// SPDX-License-Identifier: Apache-2.0
// The stream that is looked at: all of its state, and its pictures, asked for again and again while somebody looks.
import { useEffect, useState } from 'preact/hooks';
import { get_frame, get_json } from './api';
import { stream_path, type StreamState } from './model/streams';
import type { Problem } from './problem';
import { use_visible } from './use_media';

const k_state_ms = 500;
const k_state_large_ms = 2_000;  // a table of 16 bits is 65,536 numbers
const k_large_levels = 4_096;
const k_retry_ms = 2_000;
const k_pause_least_ms = 50;

// Calls `turn` until it is over; it says how long the next one waits from when it began.
function repeat(turn: (signal: AbortSignal) => Promise<number>): () => void {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const go = async () => {
    const start_ms = performance.now();
    const period_ms = await turn(abort.signal);
    if (abort.signal.aborted) return;
    timer = setTimeout(() => void go(), Math.max(k_pause_least_ms, period_ms - (performance.now() - start_ms)));
  };
  void go();
  return () => {
    abort.abort();
    if (timer !== null) clearTimeout(timer);
  };
}

interface Looked {
  state: StreamState | null;
  problem: Problem | null;
  take: (state: StreamState) => void;  // told by another answer
}

export function use_stream(token: string, name: string, active: boolean, on_problem: (problem: Problem) => void): Looked {
  const [state, set_state] = useState<StreamState | null>(null);
  const [problem, set_problem] = useState<Problem | null>(null);
  const looking = use_visible() && active;
  useEffect(() => {
    if (!looking) return;
    return repeat(async (signal) => {
      const answer = await get_json<StreamState>(stream_path(name), token);
      if (signal.aborted) return 0;
      set_problem(answer.ok ? null : answer.problem);
      if (!answer.ok) {
        on_problem(answer.problem);
        return k_retry_ms;
      }
      set_state(answer.value);
      return (answer.value.histogram?.levels ?? 0) > k_large_levels ? k_state_large_ms : k_state_ms;
    });
  }, [token, name, looking]);
  return { state, problem, take: set_state };
}

export interface Picture {
  url: string | null;
  problem: Problem | null;
}

// The picture of one side, at most `per_second` times a second.
export function use_picture(token: string, name: string, side: 'in' | 'out', per_second: number, active: boolean): Picture {
  const [url, set_url] = useState<string | null>(null);
  const [problem, set_problem] = useState<Problem | null>(null);
  const looking = use_visible() && active && per_second > 0;
  useEffect(() => {
    if (!looking) return;
    let etag = '';
    return repeat(async (signal) => {
      const answer = await get_frame(stream_path(name, `/preview?side=${side}`), token, etag, signal);
      if (signal.aborted) return 0;
      set_problem(answer.ok ? null : answer.problem);
      if (!answer.ok) return k_retry_ms;
      if (answer.value) {
        etag = answer.value.etag;
        set_url(URL.createObjectURL(answer.value.blob));
      }
      return 1000 / per_second;
    });
  }, [token, name, side, per_second, looking]);
  useEffect(() => () => {
    if (url !== null) URL.revokeObjectURL(url);
  }, [url]);
  return { url, problem };
}
