// SPDX-License-Identifier: Apache-2.0
// Lanes of a rollout out of its events.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read_event } from '../../webui/src/feed/event';
import { bar_of, k_layers, lane_status, rollout_runs, verdict } from '../../webui/src/model/rollout';

const k_start_ms = Date.UTC(2026, 0, 1);
let made = 0;
function said(second: number, tool: string, data: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const time = new Date(k_start_ms + 1000 * second).toISOString();
  const raw = { id: String(++made), source: '/x', type: `io.histod.rollout.${tool}.x`, time, rolloutid: 'r1', data, ...more };
  return read_event(raw, 'me', 0)!;
}

test('a resource starts, goes on and ends; its time is what the tool says, or what was seen', () => {
  const events = [
    said(0, 'terraform', { resource: 'server.a', status: 'started' }),
    said(5, 'terraform', { resource: 'server.b', status: 'started' }),
    said(10, 'terraform', { resource: 'server.a', status: 'progress', message: 'still creating' }),
    said(30, 'terraform', { resource: 'server.a', status: 'succeeded', duration_ms: 29_500 }),
    said(40, 'terraform', { resource: 'server.b', status: 'changed' }),
  ];
  const [run] = rollout_runs(events);
  assert.deepEqual(run!.lanes.hardware.map(({ name, status, duration_ms, events: count }) => [name, status, duration_ms, count]),
    [['server.a', 'succeeded', 29_500, 3], ['server.b', 'changed', 35_000, 2]]);
  assert.deepEqual([run!.counts.running, run!.counts.succeeded, run!.counts.changed], [0, 1, 1]);
  assert.equal(verdict(run!), 'done');
  const [then] = rollout_runs(events, k_start_ms + 12_000);
  assert.deepEqual(then!.lanes.hardware.map(({ status, message }) => [status, message]),
    [['running', 'still creating'], ['running', 'io.histod.rollout.terraform.x']]);
  assert.equal(verdict(then!), 'running');
});

test('each tool has its lane, and an event may name another', () => {
  const tools = { terraform: 'hardware', tinkerbell: 'os', ansible: 'os', kubeadm: 'kubernetes', argocd: 'gitops', flux: 'gitops', k8s: 'workload', systemd: 'workload' };
  for (const [tool, layer] of Object.entries(tools)) {
    const [run] = rollout_runs([said(0, tool, { resource: 'x', status: 'succeeded' })]);
    assert.equal(k_layers.find((one) => run!.lanes[one].length > 0), layer, tool);
  }
  const [run] = rollout_runs([said(0, 'ansible', { resource: 'join', layer: 'kubernetes', status: 'succeeded' }), said(0, 'novel', { layer: 'moon', resource: 'crater', status: 'skipped' })]);
  assert.deepEqual([run!.lanes.kubernetes.length, run!.lanes.workload.length], [1, 1]);
});

test('a failure keeps its message; a second try clears it', () => {
  const fail = said(4, 'argocd', { resource: 'app', status: 'failed', error: 'image not found', message: 'sync failed' }, { severity: 'error' });
  const events = [said(0, 'argocd', { resource: 'app', status: 'started' }), fail];
  const [run] = rollout_runs(events);
  assert.deepEqual([verdict(run!), run!.lanes.gitops[0]!.error, lane_status(run!.lanes.gitops)], ['failed', 'image not found', 'failed']);
  const [again] = rollout_runs([...events, said(10, 'argocd', { resource: 'app', status: 'started' }), said(12, 'argocd', { resource: 'app', status: 'succeeded' })]);
  assert.deepEqual([again!.lanes.gitops[0]!.error, again!.lanes.gitops[0]!.duration_ms, verdict(again!)], ['', 2000, 'done']);
  const [bare] = rollout_runs([said(0, 'k8s', { resource: 'pod', message: 'CrashLoopBackOff' }, { severity: 'error' })]);
  assert.equal(bare!.lanes.workload[0]!.error, 'CrashLoopBackOff');
});

test('a version, a plan and a heading are no resources; a failure that names none is a line', () => {
  const play = { type: 'io.histod.rollout.ansible.play_started' };
  const events = [
    said(0, 'terraform', { status: 'started', message: 'Terraform 1.11.4' }), said(1, 'terraform', { resource: 'server.a', message: 'Plan to create' }),
    said(2, 'ansible', { resource: 'Prepare', status: 'started' }, play),
  ];
  assert.deepEqual(rollout_runs(events), []);
  const [run] = rollout_runs([...events, said(9, 'terraform', { resource: 'server.a', status: 'succeeded', duration_ms: 2000 }),
    said(9, 'terraform', { message: 'no such provider' }, { severity: 'error' })]);
  assert.deepEqual(run!.lanes.hardware.map(({ name, status, events: count }) => [name, status, count]), [['server.a', 'succeeded', 1], ['no such provider', 'failed', 1]]);
  assert.deepEqual([run!.start_ms, run!.lanes.os.length, verdict(run!)], [k_start_ms + 7000, 0, 'failed']);
});

test('a task on many hosts stands as the worst of them, whoever is last', () => {
  const on = (host: string, second: number, data: Record<string, unknown>) => said(second, 'ansible', { resource: 'sysctl', ...data }, { node: host });
  const started = on('node-1', 0, { status: 'started' });
  const task = (...events: ReturnType<typeof said>[]) => rollout_runs([started, ...events])[0]!;
  const failed = task(on('a', 1, { status: 'changed', duration_ms: 900 }), on('b', 2, { status: 'failed', error: 'no space', duration_ms: 1900 }),
    on('c', 3, { status: 'failed', error: 'no space', duration_ms: 1800 }), on('d', 4, { status: 'succeeded', duration_ms: 1000 }));
  const [line] = failed.lanes.os;
  assert.deepEqual([line!.status, line!.hosts, line!.error, line!.duration_ms, verdict(failed)], ['failed', 4, 'b, c: no space', 1900, 'failed']);
  assert.equal(task(on('a', 1, { status: 'succeeded' }), on('b', 2, { status: 'skipped' })).lanes.os[0]!.status, 'succeeded');
  const ignored = task(on('a', 1, { status: 'failed', ignored: true, error: 'no disk' }), on('b', 2, { status: 'succeeded' }));
  assert.deepEqual([ignored.lanes.os[0]!.status, ignored.lanes.os[0]!.error, ignored.counts.ignored, verdict(ignored)], ['ignored', 'a: no disk', 1, 'done']);
  const again = task(on('a', 1, { status: 'failed', error: 'x' }), on('node-1', 2, { status: 'started' }), on('a', 3, { status: 'succeeded' }));
  assert.deepEqual([again.lanes.os[0]!.status, again.lanes.os[0]!.hosts, again.lanes.os[0]!.error], ['succeeded', 1, '']);
});

test('a tool that tells only the end still has a bar as long as it took', () => {
  const [run] = rollout_runs([said(100, 'ansible', { resource: 'base : sysctl', status: 'changed', duration_ms: 8000 })]);
  assert.equal(run!.start_ms, k_start_ms + 92_000);
  assert.deepEqual(bar_of(run!.lanes.os[0]!, run!.start_ms, run!.last_ms), { left: 0, width: 100 });
});

test('runs are apart, the newest first; a replay is one', () => {
  const runs = rollout_runs([
    said(0, 'k8s', { resource: 'a', status: 'succeeded' }, { rolloutid: 'old', replay: true }),
    said(9, 'k8s', { resource: 'a', status: 'started' }, { rolloutid: 'new' }),
    said(3, 'k8s', { resource: 'a', status: 'started' }, { rolloutid: undefined }),
  ]);
  assert.deepEqual(runs.map(({ id, replay }) => [id, replay]), [['new', false], ['', false], ['old', true]]);
  assert.deepEqual(rollout_runs([]), []);
});

test('out of order is put in order, and a run has bounds', () => {
  const [run] = rollout_runs([said(9, 'k8s', { resource: 'a', status: 'succeeded' }), said(1, 'k8s', { resource: 'a', status: 'started' })]);
  assert.deepEqual([run!.lanes.workload[0]!.status, run!.lanes.workload[0]!.duration_ms], ['succeeded', 8000]);
  const [big] = rollout_runs(Array.from({ length: 450 }, (_, i) => said(i, 'k8s', { resource: `pod-${i}`, status: 'started' })));
  assert.deepEqual([big!.lanes.workload.length, big!.unlisted], [400, 50]);
});

test('names of objects’ own members are names like any other', () => {
  const [run] = rollout_runs([said(0, 'constructor', { layer: '__proto__', resource: 'toString', status: 'hasOwnProperty' }, { severity: 'ok' })]);
  assert.equal(run!.lanes.workload[0]!.name, 'toString');
});

test('bars stay inside, and are never too short to be seen', () => {
  const resource = (start_ms: number, end_ms: number | null) => ({
    name: '', tool: '', status: 'running' as const, start_ms, end_ms, duration_ms: null, message: '', error: '', hosts: 0, events: 1,
  });
  for (const [start, end] of [[0, 0], [100, 100], [-50, 200], [40, null], [300, 400]] as const) {
    const { left, width } = bar_of(resource(start, end), 0, 100);
    assert.ok(left >= 0 && width >= 0.6 && left + width <= 100.1, `${start} ${end}: ${left} ${width}`);
  }
  assert.deepEqual(bar_of(resource(25, 75), 0, 100), { left: 25, width: 50 });
});
