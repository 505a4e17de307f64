// SPDX-License-Identifier: Apache-2.0
// Addresses, long lists, zoom, the fleet, jobs and the queue of files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read_event } from '../../webui/src/feed/event';
import { empty_feed, take } from '../../webui/src/feed/history';
import { holdings, known_of, member_session, numa_map, sample_of, session_word, trend_of, with_reports, with_sample } from '../../webui/src/model/fleet';
import { job_ms, job_name, node_shares, progress_share } from '../../webui/src/model/jobs';
import { k_rows_max, row_after_key, scroll_to_row, window_of } from '../../webui/src/model/window';
import { equalize_query, k_default_options, with_option } from '../../webui/src/options';
import { no_answer } from '../../webui/src/problem';
import { event_hash, is_target, parse_route, tab_after_key } from '../../webui/src/route';
import { spark_path } from '../../webui/src/view/bits';
import * as queue from '../../webui/src/work/queue';
import { k_whole_view, panned, view_after_key, zoomed } from '../../webui/src/work/zoom';

test('a permanent link leads back to its event', () => {
  const all = [
    { sequence: 42, identity: '01J9ZQ5V7C3M8T2X4R6W0YBNDE', source: '/nodes/a', id: 'x' },
    { sequence: null, identity: '', source: 'urn:x?a=1&b/#+%', id: 'täg 1+2' },
    { sequence: 0, identity: 'a@b/c', source: 's', id: 'i' },
  ];
  for (const located of all) {
    const { tab, target } = parse_route(event_hash(located));
    assert.equal(tab, 'events');
    assert.ok(target && is_target(target, located), event_hash(located));
    assert.ok(!is_target(target, { ...located, sequence: 7, id: 'other' }));
  }
});

test('any other address is a tab, or the first one', () => {
  for (const [hash, tab] of [['', 'work'], ['#', 'work'], ['#logs', 'logs'], ['#live', 'live'], ['#nowhere', 'work'], ['#<img src=x>', 'work'], ['#events', 'events']] as const) {
    assert.deepEqual(parse_route(hash), { tab, target: null }, hash);
  }
  for (const hash of ['#events/x', '#events/%', '#events/1@%E0', '#events/a+b+c', '#events/99999999999999999@x', '#fleet/1@x', '#events/+']) {
    assert.equal(parse_route(hash).target, null, hash);
  }
  assert.deepEqual(['ArrowRight', 'ArrowLeft', 'Home', 'End', 'x'].map((key) => tab_after_key(key, 'logs')), ['work', 'events', 'work', 'logs', null]);
  const without_live = ['work', 'fleet', 'logs'] as const;
  assert.deepEqual(['ArrowRight', 'ArrowLeft', 'Home', 'End'].map((key) => tab_after_key(key, 'work', without_live)), ['fleet', 'logs', 'work', 'logs']);
});

test('of a long list only what is in view is drawn', () => {
  assert.deepEqual(window_of(0, 280, 28, 5000), { first: 0, last: 22 });
  assert.deepEqual(window_of(2800, 280, 28, 5000), { first: 94, last: 116 });
  assert.deepEqual(window_of(1e9, 280, 28, 50), { first: 49, last: 50 });
  assert.deepEqual(window_of(0, 280, 28, 0), { first: 0, last: 0 });
  const { first, last } = window_of(0, 1e6, 1, 5000);
  assert.equal(last - first, k_rows_max);
});

test('keys move the chosen row, and it is scrolled into view', () => {
  const after = (key: string, row: number) => row_after_key(key, row, 100, 10);
  assert.deepEqual([after('ArrowDown', -1), after('ArrowUp', -1), after('ArrowDown', 99), after('PageDown', 95), after('PageUp', 5)], [0, 0, 99, 99, 0]);
  assert.deepEqual([after('Home', 50), after('End', 50), after('Tab', 50), row_after_key('End', -1, 0, 10)], [0, 99, null, null]);
  assert.deepEqual([scroll_to_row(5, 200, 100, 10), scroll_to_row(25, 200, 100, 10), scroll_to_row(40, 200, 100, 10)], [50, 200, 310]);
});

test('zoom keeps the point under the pointer, and the picture in the frame', () => {
  const near = zoomed(k_whole_view, 4, 0.25, 0.5);
  assert.deepEqual(near, { scale: 4, x: 0.1875, y: 0.375 });
  assert.equal(near.x + 0.25 / near.scale, 0.25);
  assert.deepEqual(zoomed(near, 0.01, 0.9, 0.9), k_whole_view);
  assert.equal(zoomed(k_whole_view, 1e9).scale, 16);
  assert.deepEqual(panned(near, 99, -99), { scale: 4, x: 0, y: 0.75 });
  assert.deepEqual([view_after_key('+', k_whole_view)?.scale, view_after_key('-', near)?.scale, view_after_key('0', near), view_after_key('a', near)],
    [2, 2, k_whole_view, null]);
});

test('ZooKeeper’s state has the original’s words', () => {
  assert.deepEqual(['CONNECTED', 'SUSPENDED', 'LOST', undefined, 'toString'].map((state) => [session_word(state).text, session_word(state).tone]),
    [['OK', 'good'], ['WARNING: SUSPENDED', 'warn'], ['LOST', 'bad'], ['not known', 'muted'], ['not known', 'muted']]);
  const suspended = read_event({ id: '1', source: 's', type: 'io.histod.zookeeper.suspended', node: 'b' }, '', 0)!;
  const told = new Map([['b', suspended]]);
  const cluster = { zookeeper: { state: 'LOST' } };
  assert.equal(member_session({ name: 'b' }, cluster, told).state, 'SUSPENDED');
  assert.equal(member_session({ name: 'c' }, cluster, told).state, 'OK');
  assert.equal(member_session({ name: 'a', self: true }, cluster, told).state, 'LOST');
});

test('samples of a node become rates; a restart begins anew', () => {
  const node = (images: number, busy_ms: number, requests: number) =>
    ({ workers: [{ images, images_busy_ns: 1e6 * busy_ms, requests, leased_bytes: 25, budget_bytes: 100 }, { images: 0, leased_bytes: 25, budget_bytes: 100 }] });
  let samples = with_sample([], sample_of(node(10, 2000, 10), 0));
  samples = with_sample(samples, sample_of(node(14, 2200, 30), 2000));
  samples = with_sample(samples, sample_of(node(14, 2200, 30), 4000));
  const trend = trend_of(samples);
  assert.deepEqual([trend.images_per_s, trend.requests_per_s, trend.memory], [[2, 0], [10, 0], [0.25, 0.25]]);
  assert.ok(Math.abs(trend.ms_per_image[0]! - 50) < 1e-6);
  assert.equal(trend.ms_per_image[1], null);
  assert.equal(with_sample(samples, sample_of(node(1, 1, 1), 6000)).length, 1);
  for (let i = 0; i < 300; i++) samples = with_sample(samples, { ...samples[0]!, at_ms: i, images: 100, requests: 100 });
  assert.equal(samples.length, 91);
});

test('each node has samples of its own, and one that does not answer begins anew', () => {
  const node = (node_name: string, images: number) => ({ node_name, workers: [{ images }] });
  let reports = with_reports(new Map(), { nodes: [node('a', 1), node('b', 5)] }, 0);
  reports = with_reports(reports, { nodes: [node('a', 3)], unreachable: ['b'] }, 1000);
  assert.deepEqual([...reports.keys()], ['a']);
  reports = with_reports(reports, { nodes: [node('a', 4), node('b', 9)] }, 2000);
  assert.deepEqual([...reports].map(([name, { samples }]) => [name, samples.map(({ images }) => images)]), [['a', [1, 3, 4]], ['b', [9]]]);
});

test('CPUs are told by NUMA node, and shards by node', () => {
  const map = numa_map({
    workers: [{ cpu: 0, numa_node: 0 }, { cpu: 4, numa_node: 1 }, { cpu: 9, numa_node: -1 }],
    arenas: [{ numa_node: 1, cpus: [5, 6], threads: 2 }],
  });
  assert.deepEqual(map.map(({ index, workers, compute_cpus, threads }) => [index, workers.length, compute_cpus, threads]), [[0, 2, [], 0], [1, 1, [5, 6], 2]]);
  const { nodes, rows } = holdings([
    { id: 'd1', name: 'scans', images: { total: 5 }, nodes: [{ name: 'b', reachable: true, images: { total: 3, bytes: 9 } }, { name: 'a', reachable: false }] },
    { id: 'd2' },
  ]);
  assert.deepEqual(nodes, ['a', 'b']);
  assert.deepEqual(rows.map(({ dataset, parts }) => [dataset, parts.map((part) => [part.node, part.reachable, part.images])]),
    [['scans', [['b', true, 3], ['a', false, 0]]], ['d2', []]]);
});

test('of any node the lists and the feed tell something', () => {
  const said = (id: string, seconds: number, more = {}) =>
    read_event({ id, source: 's', type: 'io.histod.log.error', node: 'b', severity: 'error', time: new Date(1000 * seconds).toISOString(), ...more }, '', 0)!;
  const feed = take(empty_feed(), [said('1', 50), said('2', 40), said('3', 90, { replay: true }), said('4', 10, { severity: 'info' })]);
  const jobs = [{ id: '1', state: 'running', node: 'b' }, { id: '2', state: 'done', node: 'b' }, { id: '3', state: 'queued', node: 'a' }];
  const datasets = [{ id: 'd', nodes: [{ name: 'b', images: { total: 3 } }, { name: 'a', images: { total: 2 } }] }, { id: 'e', nodes: [{ name: 'b', images: { total: 4 } }] }];
  assert.deepEqual(known_of('b', jobs, datasets, feed), { open_jobs: 1, images: 7, errors: 3, heard_ms: 50_000 });
  assert.deepEqual(known_of('c', jobs, datasets, feed), { open_jobs: 0, images: 0, errors: 0, heard_ms: null });
});

test('jobs and datasets say how far they are', () => {
  const job = { id: 'J', state: 'running', started_at: '2026-01-01T00:00:00Z', input: { file: 'scans/2026/a.tif' } };
  assert.equal(job_name(job), 'a.tif');
  assert.equal(job_name({ id: 'J', state: 'queued' }), 'J');
  assert.equal(job_ms(job, Date.UTC(2026, 0, 1) + 5000), 5000);
  assert.equal(job_ms({ ...job, finished_at: '2026-01-01T00:00:02Z' }, 0), 2000);
  assert.equal(job_ms({ id: 'J', state: 'queued', started_at: null }, 0), null);
  assert.equal(job_ms({ ...job, state: 'counted' }, 0), null);
  assert.deepEqual([progress_share({ id: 'd' }), progress_share({ id: 'd', progress: { items_done: 3, items_total: 12 } })], [1, 0.25]);
  assert.deepEqual(node_shares({ id: 'd', nodes: [{ name: 'b' }, { name: 'a', reachable: true, images: { total: 4, done: 1 } }, {}] }).map(({ name, total, done }) => [name, total, done]),
    [['', 0, 0], ['a', 4, 1], ['b', 0, 0]]);
});

const files = (...names: string[]) => names.map((filename) => ({ blob: new Blob([filename]), filename }));
const image = { blob: new Blob(['x']), media_type: 'image/png', digest: '', server_timing: 'decode;dur=2, total;dur=3' };

test('a queue of files: two at a time, besides the one that is shown', () => {
  let q = queue.add_files(queue.k_empty_queue, files('a', 'b', 'c', 'd'));
  assert.equal(queue.chosen_item(q)?.filename, 'a');
  assert.deepEqual(queue.to_start(q, true).map((item) => item.filename), ['b', 'c']);
  assert.deepEqual(queue.to_start(q, false).map((item) => item.filename), ['a', 'b']);
  q = queue.change_item(q, 2, queue.sending('now rule=exact'));
  q = queue.change_item(q, 3, queue.on_the_way(1));
  assert.deepEqual([queue.to_start(q, true).length, q.items[2]!.state], [0, 'working']);
  q = queue.change_item(q, 3, queue.failed_by(no_answer('x')));
  assert.deepEqual(queue.to_start(q, true).map((item) => item.filename), ['d']);
  const query = queue.run_key(k_default_options);
  q = queue.change_item(q, 2, queue.done_with(query, image));
  assert.equal(q.items[1]!.timing?.total_ms, 3);
  assert.deepEqual(queue.tally(q, k_default_options), { total: 4, done: 1, failed: 1, outdated: 0, bytes: 4 });
});

test('other options make what is done outdated, and it goes through again when asked', () => {
  let q = queue.add_files(queue.k_empty_queue, files('a', 'b', 'c'));
  const query = queue.run_key(k_default_options);
  for (const key of [1, 2]) q = queue.change_item(q, key, queue.done_with(query, image));
  q = queue.change_item(q, 3, queue.stored_as(query, 'JOB'));
  const exact = with_option(k_default_options, 'rule', 'exact');
  assert.equal(queue.tally(q, exact).outdated, 2, 'the shown one follows by itself');
  q = queue.again(q, exact);
  assert.deepEqual(q.items.map((item) => item.state), ['done', 'waiting', 'waiting']);
});

test('removing the shown file shows its neighbour; there are bounds', () => {
  let q = queue.add_files(queue.k_empty_queue, files('a', 'b', 'c'));
  q = queue.remove_file(q, 1);
  assert.equal(queue.chosen_item(q)?.filename, 'b');
  q = queue.remove_file(queue.remove_file(q, 3), 2);
  assert.deepEqual([q.chosen, q.items.length, queue.remove_file(q, 9) === q], [null, 0, true]);
  q = queue.add_files(q, files(...Array.from({ length: 230 }, (_, i) => `f${i}`)));
  assert.deepEqual([q.items.length, q.left_out, new Set(q.items.map((item) => item.key)).size], [200, 30, 200]);
});

test('placement is part of the query only when it was chosen, and never fleet for CLAHE', () => {
  assert.doesNotMatch(equalize_query(k_default_options), /placement/);
  const fleet = with_option(k_default_options, 'placement', 'fleet');
  assert.match(equalize_query(fleet), /placement=fleet/);
  assert.equal(with_option(fleet, 'method', 'clahe').placement, 'auto');
  assert.doesNotMatch(equalize_query(with_option(k_default_options, 'delivery', 'job')), /delivery|job/);
});

test('a small line ends at the right edge, and breaks where there is no value', () => {
  assert.equal(spark_path([0, 10], 10, 3), 'M60.0 31.0L120.0 2.0');
  assert.equal(spark_path([5, null, 5], 10, 3), 'M0.0 16.5h0.01M120.0 16.5h0.01');
  assert.equal(spark_path([], 10, 3), '');
  assert.doesNotMatch(spark_path([1e9, 0], 10, 2), /NaN|-/, 'what is over the top stays inside');
});
