// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { is_passing, no_answer, parse_problem, parse_retry_after, sign_in_message, too_large } from '../../webui/src/problem';

const k_type = 'application/problem+json';

test('every member of a problem is taken over', () => {
  const body = JSON.stringify({
    type: 'urn:histod:problem:limit-exceeded', title: 'Too many pixels', status: 413, detail: 'width x height is over the limit',
    value: 400000000, limit: 100000000,
  });
  assert.deepEqual(parse_problem(413, k_type, body, null), {
    status: 413, code: 'limit-exceeded', title: 'Too many pixels', detail: 'width x height is over the limit',
    value: '400000000', limit: '100000000', retry_after_s: null,
  });
});

test('a value may be text, a number or a structure; null is none', () => {
  const of = (value: unknown) => parse_problem(400, k_type, JSON.stringify({ value }), null).value;
  assert.equal(of('rule=foo'), 'rule=foo');
  assert.equal(of(0), '0');
  assert.equal(of(false), 'false');
  assert.equal(of({ a: [1] }), '{"a":[1]}');
  assert.equal(of(null), '');
});

test('the status of the answer counts, not the one in the body', () => {
  assert.equal(parse_problem(503, k_type, '{"status":200}', '5').status, 503);
});

test('a page of a proxy is not shown, its status is', () => {
  const problem = parse_problem(413, 'text/html', '<h1>413</h1><script>alert(1)</script>', null);
  assert.equal(problem.title, 'The image is over a limit');
  assert.equal(problem.detail, '');
  assert.equal(parse_problem(418, 'text/html', '', null).title, 'The server answered with status 418');
});

test('broken JSON, and JSON that is no object, do no harm', () => {
  for (const body of ['', '{', 'null', '[1]', '7', '"x"']) {
    assert.equal(parse_problem(422, k_type, body, null).title, 'The image is broken', body);
  }
});

test('a type of someone else is no code of ours', () => {
  assert.equal(parse_problem(400, k_type, '{"type":"about:blank"}', null).code, '');
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-01-02T03:04:05Z');
  assert.equal(parse_retry_after('7', now), 7);
  assert.equal(parse_retry_after(' 0 ', now), 0);
  assert.equal(parse_retry_after('Fri, 02 Jan 2026 03:04:15 GMT', now), 10);
  assert.equal(parse_retry_after('Fri, 02 Jan 2026 03:00:00 GMT', now), 0);
  for (const header of [null, '', 'soon', '-']) assert.equal(parse_retry_after(header, now), null, String(header));
});

test('each way of not signing in has its own sentence', () => {
  const message = (status: number, retry: string | null = null) => sign_in_message(parse_problem(status, '', '', retry));
  const all = [message(401), message(403), message(429), message(429, '30'), message(500), sign_in_message(no_answer('x'))];
  assert.equal(new Set(all).size, all.length);
  assert.match(message(401), /not known/);
  assert.match(message(403), /may not/);
  assert.match(message(429, '30'), /Wait 30 s/);
  assert.match(message(500), /500/);
});

test('only what may pass by itself is offered again', () => {
  const passing = [0, 400, 401, 403, 408, 413, 415, 422, 429, 500, 503].filter((status) => is_passing(parse_problem(status, '', '', null)));
  assert.deepEqual(passing, [0, 408, 429, 500, 503]);
});

test('a file over the limit is told like the server tells it', () => {
  const problem = too_large(5000, 4096);
  assert.deepEqual([problem.status, problem.code, problem.value, problem.limit], [413, 'too-large', '5000 bytes', '4096 bytes']);
  assert.equal(is_passing(problem), false);
});
