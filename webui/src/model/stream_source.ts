// SPDX-License-Identifier: Apache-2.0
// Asks which streams this node has: once, so that the tab is there or not, and each two seconds while the view is looked at.
import { get_json } from '../api';
import { Observable } from '../observable';
import type { Problem } from '../problem';
import { with_stream_samples, type StreamList, type StreamSample, type StreamState } from './streams';

export interface StreamsState {
  there: boolean | null;  // false: this daemon knows no streams; null: not told yet
  streams: readonly StreamState[];
  samples: ReadonlyMap<string, readonly StreamSample[]>;
  problem: Problem | null;
}

const k_poll_ms = 2_000;

export class StreamSource extends Observable<StreamsState> {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private asking = false;
  private stopped = false;
  private watched = false;
  private hurried = false;  // while it is being asked: what comes may be older than what was done

  constructor(private readonly token: string, readonly on_signed_out: () => void) {
    super({ there: null, streams: [], samples: new Map(), problem: null });
    void this.look();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  watch(watched: boolean): void {
    this.watched = watched;
    if (watched) void this.look();
  }

  // Now, and not at the next turn.
  async look(): Promise<void> {
    this.hurried = this.asking;
    if (this.asking || this.stopped || this.now().there === false) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (document.visibilityState === 'visible') await this.ask();
    const again = this.now().there === null || (this.watched && this.now().there);
    if (again && !this.stopped) this.timer = setTimeout(() => void this.look(), this.hurried ? 0 : k_poll_ms);
  }

  private async ask(): Promise<void> {
    this.asking = true;
    const answer = await get_json<StreamList>('/v1/streams', this.token);
    this.asking = false;
    if (this.stopped) return;
    if (answer.ok) {
      const streams = answer.value.streams ?? [];
      return this.change({ there: true, streams, samples: with_stream_samples(this.now().samples, streams), problem: null });
    }
    const { status } = answer.problem;
    if (status === 401) return this.on_signed_out();
    // No answer says nothing about what the daemon knows.
    const told = status !== 0 && status < 500;
    this.change({ problem: answer.problem, ...(this.now().there === null && told ? { there: status !== 404 } : {}) });
  }
}
