// SPDX-License-Identifier: Apache-2.0
// The way to the node's feed: a one-time ticket, a WebSocket, resumed where it broke off. Where no socket can be opened,
// the list is asked for again and again, and the state says so.
import type { Answer } from '../api';
import type { Problem } from '../problem';
import { is_object, text_of, read_event, type FeedEvent } from './event';

export interface Cursor {
  after: number | null;  // the last sequence seen; null: none yet
  identity: string;  // of the node whose sequence that is
}

export interface Listed {
  events?: unknown;
  last?: unknown;
  identity?: unknown;
}

// What the link needs of a WebSocket.
export interface Socket {
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  close(): void;
}

// The world outside, so that a test can be it.
export interface Wire {
  ticket(): Promise<Answer<string>>;
  list(cursor: Cursor): Promise<Answer<Listed>>;
  open(cursor: Cursor, ticket: string): Socket;
  later(ms: number, action: () => void): () => void;  // gives what cancels it
  random(): number;  // 0 to 1
  now_ms(): number;
}

export interface LinkState {
  phase: 'connecting' | 'connected' | 'polling' | 'offline';
  retry_at_ms: number | null;
  node: string;
  identity: string;
  problem: Problem | null;  // why it is not connected, where the node said why
}

export interface LinkEvents {
  state(state: LinkState): void;
  events(events: FeedEvent[]): void;
  missed(count: number): void;
  signed_out(): void;
}

export interface Link {
  wake(): void;  // try now, not later
  stop(): void;
}

export const k_first_state: LinkState = { phase: 'connecting', retry_at_ms: null, node: '', identity: '', problem: null };
export const k_page_events = 1_000;  // the most that one list holds
const k_poll_ms = 2_000;
const k_failures_until_polling = 2;
const k_backoff_first_ms = 500;
const k_backoff_last_ms = 30_000;

// Doubles with each attempt; a random half keeps many pages from coming back at once.
export function backoff_ms(attempt: number, random: number): number {
  const whole = Math.min(k_backoff_last_ms, k_backoff_first_ms * 2 ** Math.min(attempt, 16));
  return Math.round(whole * (0.5 + random / 2));
}

export function events_query({ after, identity }: Cursor): string {
  const query = new URLSearchParams({ limit: String(k_page_events) });
  if (after !== null) query.set('after', String(after));
  if (after !== null && identity !== '') query.set('identity', identity);
  return query.toString();
}

const whole = (value: unknown) => (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0);

class FeedLink implements Link {
  private state = k_first_state;
  private cursor: Cursor = { after: null, identity: '' };
  private socket: Socket | null = null;
  private attempt = 0;
  private failures = 0;  // sockets in a row that never said hello
  private turn = 0;  // counts up to make what is under way stale
  private cancel_retry: (() => void) | null = null;
  private cancel_poll: (() => void) | null = null;
  private polling = false;

  constructor(private readonly wire: Wire, private readonly told: LinkEvents) {}

  start(): this {
    void this.connect();
    return this;
  }

  wake(): void {
    if (this.cancel_retry) void this.connect();
  }

  stop(): void {
    this.turn++;
    this.stop_polling();
    this.cancel_retry?.();
    this.cancel_retry = null;
    this.drop_socket();
  }

  private show(change: Partial<LinkState>): void {
    this.state = { ...this.state, ...change };
    this.told.state(this.state);
  }

  private drop_socket(): void {
    if (!this.socket) return;
    this.socket.onclose = null;
    this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
  }

  private async connect(): Promise<void> {
    this.cancel_retry?.();
    this.cancel_retry = null;
    const turn = ++this.turn;
    this.show({ retry_at_ms: null, ...(this.polling ? {} : { phase: 'connecting' as const }) });
    const ticket = await this.wire.ticket();
    if (turn !== this.turn) return;
    if (!ticket.ok) return this.failed(ticket.problem);
    let socket: Socket;
    try {
      socket = this.wire.open(this.cursor, ticket.value);
    } catch {
      return this.failed(null);
    }
    this.socket = socket;
    let greeted = false;
    socket.onmessage = ({ data }) => {
      const message = typeof data === 'string' ? parse(data) : null;
      if (Array.isArray(message)) return this.deliver(message);
      if (!is_object(message) || !is_object(message.hello)) return;
      greeted = true;
      this.greet(message.hello);
    };
    socket.onclose = () => {
      if (turn !== this.turn) return;
      this.socket = null;
      if (greeted) this.failures = 0;
      this.failed(null);
    };
  }

  private greet(hello: Record<string, unknown>): void {
    this.attempt = this.failures = 0;
    this.stop_polling();
    this.identify(text_of(hello.identity));
    this.show({ phase: 'connected', node: text_of(hello.node), identity: this.cursor.identity, problem: null });
    if (whole(hello.missed) > 0) this.told.missed(whole(hello.missed));
  }

  // Another node's sequence begins anew.
  private identify(identity: string): boolean {
    const same = this.cursor.identity === identity;
    if (!same) this.cursor = { after: null, identity };
    return same;
  }

  private deliver(raw: readonly unknown[]): void {
    const { identity } = this.cursor;
    const read = raw.map((one) => read_event(one, identity, this.wire.now_ms()));
    const events = read.filter((event): event is FeedEvent => event !== null);
    for (const { sequence } of events) {
      if (sequence !== null && sequence > (this.cursor.after ?? -1)) this.cursor = { after: sequence, identity };
    }
    if (events.length > 0) this.told.events(events);
  }

  private failed(problem: Problem | null): void {
    if (problem?.status === 401) {
      this.stop();
      return this.told.signed_out();
    }
    this.failures++;
    const wait_ms = backoff_ms(this.attempt++, this.wire.random());
    this.cancel_retry = this.wire.later(wait_ms, () => void this.connect());
    const retry_at_ms = this.wire.now_ms() + wait_ms;
    if (this.polling) return this.show({ retry_at_ms });
    this.show({ phase: 'offline', retry_at_ms, problem });
    if (this.failures >= k_failures_until_polling) this.start_polling();
  }

  private start_polling(): void {
    this.polling = true;
    void this.poll();
  }

  private stop_polling(): void {
    this.polling = false;
    this.cancel_poll?.();
    this.cancel_poll = null;
  }

  private async poll(): Promise<void> {
    this.cancel_poll = null;
    const asked = this.cursor;
    const answer = await this.wire.list(asked);
    if (!this.polling) return;
    if (!answer.ok && answer.problem.status === 401) {
      this.stop();
      return this.told.signed_out();
    }
    const again_ms = answer.ok ? this.listed(answer.value, asked) : k_poll_ms;
    this.show(answer.ok ? { phase: 'polling', problem: null, identity: this.cursor.identity } : { phase: 'offline', problem: answer.problem });
    this.cancel_poll = this.wire.later(again_ms, () => void this.poll());
  }

  // Gives after how long to ask again: at once when there is more, or when the answer is of another node's sequence.
  private listed(page: Listed, asked: Cursor): number {
    const same = this.identify(text_of(page.identity));
    if (!same && asked.after !== null) return 0;
    const events = Array.isArray(page.events) ? page.events : [];
    const before = this.cursor.after;
    this.deliver(events);
    return events.length >= k_page_events && this.cursor.after !== before ? 0 : k_poll_ms;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export const start_link = (wire: Wire, told: LinkEvents): Link => new FeedLink(wire, told).start();
