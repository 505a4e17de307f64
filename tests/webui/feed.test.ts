// SPDX-License-Identifier: Apache-2.0
// Events as the page reads, keeps and filters them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { k_kinds, one_line, read_event, short_type, tone_of, type FeedEvent } from '../../webui/src/feed/event';
import { count_kinds, density, is_filtering, k_no_filter, matcher, nodes_of } from '../../webui/src/feed/filter';
import { empty_feed, empty_history, k_chars_max, k_events_max, remember, take } from '../../webui/src/feed/history';

const k_now_ms = Date.UTC(2026, 10, 22, 12);

function event(id: string | number, more: Record<string, unknown> = {}): FeedEvent {
  const raw = { specversion: '1.0', id: String(id), source: '/nodes/a', type: 'io.histod.log.info', node: 'a', ...more };
  return read_event(raw, 'ident', k_now_ms)!;
}
const many = (from: number, count: number, more = {}) => Array.from({ length: count }, (_, i) => event(from + i, more));

test('an event needs id, source and type; all else has a meaning when it is missing', () => {
  for (const raw of [null, 1, 'x', [], {}, { id: 'a', source: 'b' }, { id: 1, source: 'b', type: 'c' }, { id: '', source: 'b', type: 'c' }]) {
    assert.equal(read_event(raw, '', 0), null, JSON.stringify(raw));
  }
  const bare = read_event({ id: 'a', source: 'b', type: 'c' }, 'me', 7)!;
  assert.deepEqual(
    [bare.key, bare.kind, bare.severity, bare.time_ms, bare.sequence, bare.message, bare.identity, bare.replay],
    ['b\na', 'other', 'info', 7, null, 'c', 'me', false]);
});

test('fields of wrong types are as good as missing', () => {
  const odd = event(1, { severity: 'fatal', node: { a: 1 }, data: ['x'], time: 'yesterday', sequence: -4, replay: 1, subject: null });
  assert.deepEqual([odd.severity, odd.node, odd.data, odd.time_ms, odd.sequence, odd.replay, odd.subject],
    ['info', '', {}, k_now_ms, null, false, '']);
  assert.equal(event(1, { data: { message: 5 } }).message, 'io.histod.log.info');
});

test('a sequence is a number or its text', () => {
  assert.deepEqual([17, '17', '0', 'x', 1.5, '1e3', 2 ** 60].map((sequence) => event(1, { sequence }).sequence), [17, 17, 0, null, null, null, null]);
});

test('kinds come from the type, colours from the original’s dashboard', () => {
  const tone = (type: string, severity: string) => tone_of(event(1, { type, severity }));
  assert.equal(event(1, { type: 'io.histod.rollout.argocd.deployed' }).kind, 'rollout');
  assert.equal(event(1, { type: 'com.example.thing' }).kind, 'other');
  assert.equal(event(1, { type: 'io.histod.constructor' }).kind, 'other');
  assert.equal(tone('io.histod.zookeeper.connected', 'ok'), 'good');
  assert.equal(tone('io.histod.zookeeper.suspended', 'warning'), 'warn');
  assert.equal(tone('io.histod.zookeeper.lost', 'error'), 'bad');
  assert.equal(tone('io.histod.cluster.leader', 'info'), 'bad');
  assert.equal(tone('io.histod.secops.peer_intrusion', 'warning'), 'bad');
  assert.equal(tone('io.histod.rollout.flux.progress', 'info'), 'rollout');
  assert.equal(tone('io.histod.rollout.flux.progress', 'error'), 'bad');
  assert.equal(tone('io.histod.log.info', 'info'), 'plain');
  assert.equal(tone('io.histod.log.debug', 'debug'), 'muted');
  assert.equal(short_type('io.histod.rollout.k8s.ready'), 'rollout.k8s.ready');
});

test('in one line nothing is hidden', () => {
  assert.equal(one_line('a\r\n  b\tc'), 'a ⏎ b c');
  assert.equal(one_line('\u202eevil\u0000'), '\\u202eevil\u2400');
  assert.equal(one_line('x'.repeat(500)).length, 401);
  assert.equal(one_line('Grüße 漢字 🙂'), 'Grüße 漢字 🙂');
});

test('history: each once, bounded, the oldest goes first, and may come back', () => {
  let history = empty_history(4);
  history = remember(history, [event(1), event(2), event(1)]);
  assert.deepEqual(history.events.map((one) => one.id), ['1', '2']);
  assert.equal(remember(history, [event(2)]), history, 'nothing new is the same history');
  history = remember(history, many(3, 3));
  assert.deepEqual([history.events.map((one) => one.id), history.forgotten], [['2', '3', '4', '5'], 1]);
  history = remember(history, [event(1)]);
  assert.deepEqual(history.events.map((one) => one.id), ['3', '4', '5', '1']);
  assert.equal(history.keys.size, 4);
  assert.equal(remember(history, [event(5, { source: '/nodes/b' })]).events.length, 4, 'another source is another event');
});

test('history: bounded by its size, too, and the newest always stays', () => {
  const huge = (id: number) => event(id, { data: { message: 'x'.repeat(k_chars_max / 4) } });
  let history = remember(empty_history(100), [event(0), huge(1), huge(2), huge(3)]);
  assert.equal(history.events.length, 4);
  history = remember(history, [huge(4)]);
  assert.deepEqual(history.events.map((one) => one.id), ['2', '3', '4']);
  assert.ok(history.chars <= k_chars_max);
  const giant = event(9, { data: { message: 'x'.repeat(2 * k_chars_max) } });
  assert.deepEqual(remember(history, [giant]).events.map((one) => one.id), ['9']);
});

test('a feed keeps rollouts and notable events apart from a flood', () => {
  let feed = take(empty_feed(), [
    event('r', { type: 'io.histod.rollout.k8s.ready' }), event('z', { type: 'io.histod.zookeeper.lost', severity: 'error' }),
  ]);
  feed = take(feed, many(0, k_events_max + 10));
  assert.equal(feed.all.events.length, k_events_max);
  assert.equal(feed.all.forgotten, 12);
  assert.deepEqual([feed.rollout.events.length, feed.notable.events.length], [1, 1]);
  assert.equal(feed.zookeeper.get('a')!.id, 'z');
  assert.equal(feed.logs.get('a')!.events.length, 500);
  assert.equal(feed.received, k_events_max + 12);
  assert.equal(take(feed, many(100, 5)), feed, 'seen before');
});

test('a feed knows at most 64 nodes, and a replayed word says nothing about now', () => {
  const feed = take(empty_feed(), Array.from({ length: 100 }, (_, i) => event(i, { node: `n${i}` })));
  assert.equal(feed.logs.size, 64);
  assert.equal(take(feed, [event('z', { type: 'io.histod.zookeeper.lost', replay: true })]).zookeeper.size, 0);
});

test('a filter: words, severity, kinds and node', () => {
  const events = [
    event(1, { data: { message: 'Listening on port 8080' } }),
    event(2, { severity: 'error', node: 'b', data: { message: 'disk FULL' } }),
    event(3, { severity: 'ok', type: 'io.histod.zookeeper.connected', data: { message: 'ZooKeeper Connection: OK' } }),
    event(4, { severity: 'debug' }),
    event(5, { severity: 'warning', type: 'io.histod.rollout.flux.x', data: { resource: 'Kustomization/apps' } }),
  ];
  const ids = (change: Partial<typeof k_no_filter>) => events.filter(matcher({ ...k_no_filter, ...change })).map((one) => one.id).join('');
  assert.equal(ids({}), '12345');
  assert.equal(ids({ text: ' PORT listening ' }), '1');
  assert.equal(ids({ text: 'kustomization' }), '5');
  assert.equal(ids({ least: 'info' }), '1235');
  assert.equal(ids({ least: 'ok' }), '1235', 'good news weighs as plain news');
  assert.equal(ids({ least: 'warning' }), '25');
  assert.equal(ids({ node: 'b' }), '2');
  assert.equal(ids({ kinds: ['zookeeper', 'rollout'] }), '35');
  assert.equal(ids({ kinds: [] }), '');
  assert.deepEqual([is_filtering(k_no_filter), is_filtering({ ...k_no_filter, text: 'x' })], [false, true]);
  assert.deepEqual(nodes_of(events), ['a', 'b']);
  assert.deepEqual(Object.keys(count_kinds(events)), [...k_kinds]);
  assert.equal(count_kinds(events).log, 3);
});

test('density counts by slot and severity, and leaves out what is outside', () => {
  const at = (seconds: number, severity = 'info') => event(`${seconds}${severity}`, { severity, time: new Date(k_now_ms - 1000 * seconds).toISOString() });
  const slots = density([at(0), at(4, 'error'), at(6, 'warning'), at(14, 'ok'), at(900), at(-60)], k_now_ms + 4999, 5000, 4);
  assert.deepEqual(slots.map(({ plain, good, warn, bad }) => [plain, good, warn, bad]), [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]);
  assert.equal(slots[3]!.start_ms, k_now_ms);
});
