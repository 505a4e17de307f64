// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse_server_timing, shares } from '../../webui/src/server_timing';

test('the phases in order, and the total apart', () => {
  assert.deepEqual(parse_server_timing('receive;dur=0.5,decode;dur=4,encode;dur=1.25,total;dur=6'), {
    phases: [{ name: 'receive', ms: 0.5 }, { name: 'decode', ms: 4 }, { name: 'encode', ms: 1.25 }],
    total_ms: 6,
  });
});

test('without a total it is the sum', () => {
  assert.equal(parse_server_timing('a;dur=1, b;dur=2.5')?.total_ms, 3.5);
});

test('descriptions, quotes and spaces are allowed; entries without a time are left out', () => {
  assert.deepEqual(parse_server_timing('cache;desc="hit", lut ; desc="x" ; dur="0.25"')?.phases, [{ name: 'lut', ms: 0.25 }]);
});

test('no header, or nothing in it, is no timing', () => {
  for (const header of [null, '', 'miss', 'a;dur=', 'a;dur=x', 'a b;dur=1', ';dur=1', 'a;dur=1.2.3']) {
    assert.equal(parse_server_timing(header), null, String(header));
  }
});

test('shares add up to 100, and what no phase accounts for is shown', () => {
  const parts = shares({ phases: [{ name: 'a', ms: 1 }, { name: 'b', ms: 2 }], total_ms: 4 });
  assert.deepEqual(parts.map((part) => [part.name, part.percent]), [['a', 25], ['b', 50], ['other', 25]]);
});

test('phases that overlap (more than the total) still fill the bar exactly', () => {
  const parts = shares({ phases: [{ name: 'a', ms: 3 }, { name: 'b', ms: 3 }], total_ms: 4 });
  assert.deepEqual(parts.map((part) => part.percent), [50, 50]);
});

test('a rest below half a per cent is not worth a name', () => {
  const parts = shares({ phases: [{ name: 'a', ms: 99.8 }], total_ms: 100 });
  assert.deepEqual(parts.map((part) => [part.name, part.percent]), [['a', 100]]);
});

test('no time at all has no bar', () => {
  assert.deepEqual(shares({ phases: [{ name: 'a', ms: 0 }], total_ms: 0 }), []);
});
