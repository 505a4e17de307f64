// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes_text, duration_text, ms_text, number_text, clock_text, date_text, took_text } from '../../webui/src/text';

test('numbers are grouped, and have the places that are asked for', () => {
  assert.equal(number_text(1234567), '1,234,567');
  assert.equal(number_text(0), '0');
  assert.equal(number_text(12.345, 2), '12.35');
  assert.equal(number_text(12, 2), '12.00');
});

test('what is no number is a dash', () => {
  for (const value of [null, undefined, NaN, Infinity]) assert.equal(number_text(value), '–');
});

test('bytes have the unit that fits', () => {
  assert.equal(bytes_text(0), '0 bytes');
  assert.equal(bytes_text(1023), '1023 bytes');
  assert.equal(bytes_text(1024), '1.0 KiB');
  assert.equal(bytes_text(150 * 1024), '150 KiB');
  assert.equal(bytes_text(1.5 * 1024 ** 2), '1.5 MiB');
  assert.equal(bytes_text(5000 * 1024 ** 3), '5000 GiB');
});

test('times have three digits or so', () => {
  assert.deepEqual([0.004, 1.234, 12.34, 123.4, 1234].map(ms_text), ['0.00 ms', '1.23 ms', '12.3 ms', '123 ms', '1.23 s']);
});

test('durations are in the two largest units', () => {
  assert.deepEqual([59.9, 60, 3599, 3660, 90000].map(duration_text), ['59 s', '1 min', '59 min', '1 h 1 min', '1 d 1 h']);
});

test('how long it took', () => {
  assert.deepEqual([0, 600, 9_940, 38_400, 61_000, 141_900, 3_840_000].map(took_text),
    ['0 ms', '600 ms', '9.9 s', '38 s', '1 min 01 s', '2 min 21 s', '1 h 04 min']);
});

test('times of the day are local, to the millisecond', () => {
  const ms = new Date(2026, 2, 4, 5, 6, 7, 8).getTime();
  assert.deepEqual([clock_text(ms), date_text(ms)], ['05:06:07.008', '2026-03-04 05:06:07']);
});
