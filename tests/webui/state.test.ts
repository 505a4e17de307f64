// SPDX-License-Identifier: Apache-2.0
// The page's state through a run, without a page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Counts } from '../../webui/src/histogram';
import { k_default_options } from '../../webui/src/options';
import { no_answer } from '../../webui/src/problem';
import type { Result } from '../../webui/src/run';
import { reduce, type RunState } from '../../webui/src/use_run';
import { split_after_key } from '../../webui/src/view/compare';

const k_idle: RunState = {
  busy: false, sent: 0, result: null, before: null, after: null, count_problem: null, problem: null,
};
const k_blob = new Blob(['x']);
const k_result: Result = {
  input: { blob: k_blob, filename: 'a.png', format: 'png', before_url: null }, options: k_default_options, blob: k_blob,
  format: 'png', filename: 'a_equalized.png', digest: '', timing: null, preview_url: null, preview_problem: null,
  image: { blob: k_blob, media_type: 'image/png', digest: '', server_timing: null },
};
const k_counts: Counts = { format: 'png', width: 1, height: 1, depth: 8, channels: 1, pages: 1, planes: [] };

test('a run: start, sent, equalized, counted', () => {
  const started = reduce(k_idle, { type: 'start' });
  assert.deepEqual([started.busy, started.sent], [true, 0]);
  assert.equal(reduce(started, { type: 'sent', share: 0.5 }).sent, 0.5);
  const equalized = reduce(started, { type: 'equalized', result: k_result });
  assert.deepEqual([equalized.busy, equalized.result], [false, k_result]);
  const answer = { ok: true as const, value: k_counts };
  const counted = reduce(equalized, { type: 'counted', before: answer, after: answer });
  assert.deepEqual([counted.before, counted.after, counted.count_problem], [k_counts, k_counts, null]);
});

test('the last result stays while the next run is under way', () => {
  const done = { ...k_idle, result: k_result, before: k_counts };
  const again = reduce(done, { type: 'start' });
  assert.deepEqual([again.busy, again.result, again.before], [true, k_result, k_counts]);
});

test('a failure shows no old result, and the next success no old failure', () => {
  const failed = reduce({ ...k_idle, busy: true, result: k_result, before: k_counts }, { type: 'failed', problem: no_answer('') });
  assert.deepEqual([failed.busy, failed.result, failed.before], [false, null, null]);
  assert.equal(reduce(failed, { type: 'equalized', result: k_result }).problem, null);
});

test('a histogram that failed is a problem of its own, and the result stays', () => {
  const problem = no_answer('gone');
  const done = { ...k_idle, result: k_result };
  for (const [before, after] of [[false, true], [true, false]]) {
    const answer = (ok: boolean | undefined) => (ok ? { ok: true as const, value: k_counts } : { ok: false as const, problem });
    const state = reduce(done, { type: 'counted', before: answer(before), after: answer(after) });
    assert.equal(state.count_problem, problem);
    assert.equal(state.result, k_result);
  }
});

test('another input clears everything; an aborted run is idle', () => {
  assert.deepEqual(reduce({ ...k_idle, result: k_result, problem: no_answer('') }, { type: 'clear' }), k_idle);
  assert.equal(reduce({ ...k_idle, busy: true }, { type: 'idle' }).busy, false);
});

test('the line between before and after stays in the picture', () => {
  assert.equal(split_after_key('ArrowLeft', 1), 0);
  assert.equal(split_after_key('ArrowRight', 99), 100);
  assert.equal(split_after_key('PageUp', 50), 60);
  assert.equal(split_after_key('PageDown', 50), 40);
  assert.deepEqual(['Home', 'End'].map((key) => split_after_key(key, 33)), [0, 100]);
  for (const key of ['Tab', 'a', 'Enter', ' ']) assert.equal(split_after_key(key, 50), null, key);
});
