// SPDX-License-Identifier: Apache-2.0
// The way to the feed, with a world that the test is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff_ms, events_query, start_link, type Cursor, type Link, type LinkState, type Listed, type Socket } from '../../webui/src/feed/link';
import { no_answer } from '../../webui/src/problem';

class World {
  sockets: Array<Socket & { cursor: Cursor; ticket: string; closed: boolean }> = [];
  timers: Array<{ ms: number; action: () => void }> = [];
  states: LinkState[] = [];
  seen: string[] = [];
  missed = 0;
  signed_out = 0;
  tickets = 0;
  lists: Listed[] = [];
  asked: Cursor[] = [];
  ticket_status: number;
  link: Link;

  constructor(ticket_status = 200) {
    this.ticket_status = ticket_status;
    this.link = this.start();
  }

  private start() {
    return start_link({
      ticket: async () => (this.ticket_status === 200
        ? { ok: true, value: `t${++this.tickets}` } : { ok: false, problem: { ...no_answer('no'), status: this.ticket_status } }),
      list: async (cursor) => {
        this.asked.push(cursor);
        const value = this.lists.shift();
        return value ? { ok: true, value } : { ok: false, problem: no_answer('gone') };
      },
      open: (cursor, ticket) => {
        const socket = { cursor, ticket, closed: false, onmessage: null, onclose: null, close() { this.closed = true; } };
        this.sockets.push(socket);
        return socket;
      },
      later: (ms, action) => {
        const timer = { ms, action };
        this.timers.push(timer);
        return () => void (this.timers = this.timers.filter((one) => one !== timer));
      },
      random: () => 1,
      now_ms: () => 1000,
    }, {
      state: (state) => this.states.push(state),
      events: (events) => this.seen.push(...events.map((event) => event.id)),
      missed: (count) => void (this.missed += count),
      signed_out: () => void this.signed_out++,
    });
  }

  get state() { return this.states.at(-1)!; }
  get socket() { return this.sockets.at(-1)!; }
  say(value: unknown) { this.socket.onmessage!({ data: JSON.stringify(value) }); }
  hello(identity = 'me', more = {}) { this.say({ hello: { identity, node: 'node-1', last: 0, missed: 0, ...more } }); }
  tell(...sequences: number[]) { this.say(sequences.map((sequence) => one(sequence))); }
  async settle() { for (let i = 0; i < 20; i++) await Promise.resolve(); }
  async break() { this.socket.onclose!({ code: 1006 }); await this.settle(); }
  async fire() { this.timers.shift()!.action(); await this.settle(); }
}

const one = (sequence: number) => ({ id: `e${sequence}`, source: '/s', type: 'io.histod.log.info', sequence });

async function world() {
  const made = new World();
  await made.settle();
  return made;
}

test('a ticket opens the socket, hello makes it connected, events arrive', async () => {
  const w = await world();
  assert.deepEqual([w.socket.ticket, w.socket.cursor], ['t1', { after: null, identity: '' }]);
  assert.equal(w.state.phase, 'connecting');
  w.hello('me', { missed: 3 });
  assert.deepEqual([w.state.phase, w.state.node, w.missed], ['connected', 'node-1', 3]);
  w.tell(4, 5);
  assert.deepEqual(w.seen, ['e4', 'e5']);
});

test('it goes on behind the last event, with a new ticket each time', async () => {
  const w = await world();
  w.hello();
  w.tell(7, 9, 8);
  await w.break();
  assert.equal(w.state.phase, 'offline');
  assert.equal(w.state.retry_at_ms, 1500);
  await w.fire();
  assert.deepEqual([w.socket.ticket, w.socket.cursor], ['t2', { after: 9, identity: 'me' }]);
  w.hello();
  w.tell(10);
  assert.deepEqual(w.seen, ['e7', 'e9', 'e8', 'e10']);
});

test('another identity begins anew', async () => {
  const w = await world();
  w.hello('one');
  w.tell(500);
  await w.break();
  await w.fire();
  w.hello('two');
  w.tell(3);
  await w.break();
  await w.fire();
  assert.deepEqual(w.socket.cursor, { after: 3, identity: 'two' });
});

test('two sockets that never say hello: the list is asked for, and a socket is still tried', async () => {
  const w = await world();
  w.lists = [{ events: [one(1)], last: 1, identity: 'me' }, { events: [one(2)], last: 2, identity: 'me' }];
  await w.break();
  assert.equal(w.asked.length, 0);
  await w.fire();
  await w.break();
  assert.equal(w.state.phase, 'polling');
  assert.deepEqual([w.seen, w.asked], [['e1'], [{ after: null, identity: '' }]]);
  const poll = w.timers.find((timer) => timer.ms === 2000)!;
  poll.action();
  await w.settle();
  assert.deepEqual(w.asked[1], { after: 1, identity: 'me' });
  w.timers.find((timer) => timer.ms === 1000)!.action();
  await w.settle();
  assert.equal(w.state.phase, 'polling', 'says so until the socket speaks');
  w.hello();
  assert.equal(w.state.phase, 'connected');
  assert.equal(w.timers.some((timer) => timer.ms === 2000 && timer !== poll), false, 'no more asking');
});

test('a full list is followed by the next at once; another node’s by a list from its beginning', async () => {
  const w = await world();
  const full = Array.from({ length: 1000 }, (_, i) => one(i + 1));
  w.lists = [{ events: full, identity: 'me' }, { events: [one(1001)], identity: 'me' }, { events: [one(2000)], identity: 'you' }, { events: [one(5)], identity: 'you' }];
  await w.break();
  await w.fire();
  await w.break();
  assert.deepEqual(w.timers.map((timer) => timer.ms).sort((a, b) => a - b), [0, 1000]);
  const next = async (ms: number) => {
    const at = w.timers.findIndex((timer) => timer.ms === ms);
    w.timers.splice(at, 1)[0]!.action();
    await w.settle();
  };
  await next(0);
  assert.deepEqual([w.asked.at(-1), w.seen.length], [{ after: 1000, identity: 'me' }, 1001]);
  await next(2000);
  assert.equal(w.seen.length, 1001, 'what another node counts by its own sequence is not mixed in');
  await next(0);
  assert.deepEqual([w.asked.at(-1), w.seen.at(-1)], [{ after: null, identity: 'you' }, 'e5']);
});

test('a refused token ends it; any other refusal is told and tried again', async () => {
  const w = new World(403);
  await w.settle();
  assert.deepEqual([w.state.phase, w.state.problem?.status, w.signed_out], ['offline', 403, 0]);
  w.ticket_status = 401;
  await w.fire();
  assert.deepEqual([w.signed_out, w.timers.length], [1, 0]);
});

test('wake tries at once; stop ends everything', async () => {
  const w = await world();
  w.hello();
  await w.break();
  w.link.wake();
  await w.settle();
  assert.deepEqual([w.sockets.length, w.timers.length], [2, 0]);
  w.link.wake();
  await w.settle();
  assert.equal(w.sockets.length, 2, 'one is under way');
  w.link.stop();
  assert.deepEqual([w.socket.closed, w.socket.onclose, w.timers.length], [true, null, 0]);
});

test('what is no event, or no JSON, is passed over', async () => {
  const w = await world();
  w.hello();
  w.socket.onmessage!({ data: '[{' });
  w.socket.onmessage!({ data: new ArrayBuffer(3) });
  w.say([null, 5, { id: 'x' }, one(1)]);
  w.say({ hello: 'x' });
  w.say({ other: 1 });
  assert.deepEqual([w.seen, w.state.phase], [['e1'], 'connected']);
});

test('waiting doubles up to half a minute, between a half and all of it', () => {
  assert.deepEqual([0, 1, 2, 3].map((attempt) => backoff_ms(attempt, 1)), [500, 1000, 2000, 4000]);
  assert.deepEqual([backoff_ms(99, 1), backoff_ms(99, 0)], [30_000, 15_000]);
});

test('the query names the identity only with a place', () => {
  assert.equal(events_query({ after: null, identity: 'x' }), 'limit=1000');
  assert.equal(events_query({ after: 0, identity: 'x&y' }), 'limit=1000&after=0&identity=x%26y');
});
