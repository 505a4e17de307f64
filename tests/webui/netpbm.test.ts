// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode_netpbm } from '../../webui/src/netpbm';

const text = (value: string) => Uint8Array.from(value, (c) => c.charCodeAt(0));
const file = (header: string, ...samples: number[]) => Uint8Array.from([...text(header), ...samples]);
const rgba = (bytes: Uint8Array) => {
  const picture = decode_netpbm(bytes);
  return picture && { size: [picture.width, picture.height], rgba: [...picture.rgba] };
};

test('P5: gray bytes become opaque gray', () => {
  assert.deepEqual(rgba(file('P5\n2 1\n255\n', 7, 200)), { size: [2, 1], rgba: [7, 7, 7, 255, 200, 200, 200, 255] });
});

test('P6: three bytes a pixel', () => {
  assert.deepEqual(rgba(file('P6 1 1 255\n', 1, 2, 3))?.rgba, [1, 2, 3, 255]);
});

test('16 bit: the high byte comes first, and the range is scaled to 8 bit', () => {
  assert.deepEqual(rgba(file('P5 3 1 65535\n', 0xff, 0xff, 0x80, 0x00, 0x00, 0x00))?.rgba.filter((_, i) => i % 4 === 0), [255, 128, 0]);
  assert.deepEqual(rgba(file('P5 2 1 4095\n', 0x0f, 0xff, 0x08, 0x00))?.rgba.filter((_, i) => i % 4 === 0), [255, 128]);
});

test('a maximum below 255 is stretched', () => {
  assert.deepEqual(rgba(file('P5 3 1 3\n', 0, 1, 3))?.rgba.filter((_, i) => i % 4 === 0), [0, 85, 255]);
});

test('P2 and P3: decimal text, comments, any white space', () => {
  assert.deepEqual(rgba(text('P2\n# one\n2 # two\n2\n255\n0 1\n2\t255'))?.rgba.filter((_, i) => i % 4 === 0), [0, 1, 2, 255]);
  assert.deepEqual(rgba(text('P3 1 1 15 15 0 5\n'))?.rgba, [255, 0, 85, 255]);
});

test('a comment may stand between the header’s words', () => {
  assert.deepEqual(rgba(file('P5\n#a\n#b 9 9\n1\n#c\n1\n255\n', 42))?.rgba, [42, 42, 42, 255]);
});

test('P7: gray, gray with alpha, RGB, RGBA; the alpha is kept', () => {
  const pam = (depth: number, ...samples: number[]) =>
    rgba(file(`P7\nWIDTH 1\nHEIGHT 1\nDEPTH ${depth}\nMAXVAL 255\nTUPLTYPE X\nENDHDR\n`, ...samples))?.rgba;
  assert.deepEqual(pam(1, 9), [9, 9, 9, 255]);
  assert.deepEqual(pam(2, 9, 100), [9, 9, 9, 100]);
  assert.deepEqual(pam(3, 1, 2, 3), [1, 2, 3, 255]);
  assert.deepEqual(pam(4, 1, 2, 3, 4), [1, 2, 3, 4]);
});

test('what is cut short is refused at every length', () => {
  const whole = file('P6\n3 2\n255\n', ...Array.from({ length: 18 }, (_, i) => i));
  assert.ok(decode_netpbm(whole));
  for (let size = 0; size < whole.length; size++) assert.equal(decode_netpbm(whole.subarray(0, size)), null, `${size} bytes`);
  const wide = file('P5 1 1 256\n', 0, 1);
  assert.ok(decode_netpbm(wide));
  assert.equal(decode_netpbm(wide.subarray(0, wide.length - 1)), null);
});

test('lies in the header are refused before anything is allocated', () => {
  for (const header of [
    'P5 0 1 255\n', 'P5 1 0 255\n', 'P5 1 1 0\n', 'P5 1 1 65536\n', 'P5 99999 99999 255\n', 'P5 -1 1 255\n', 'P5 1e3 1 255\n',
    'P5 9999999999 1 255\n', 'P5', 'P5 #', 'P1 1 1\n1', 'P4 1 1\n1', 'P8 1 1 255\n', 'xx 1 1 255\n', '',
  ]) assert.equal(decode_netpbm(file(header, 1, 2, 3, 4)), null, header);
  for (const [depth, max] of [[5, 255], [0, 255], [1, 0], [1, 65536]]) {
    const header = `P7\nWIDTH 1\nHEIGHT 1\nDEPTH ${depth}\nMAXVAL ${max}\nENDHDR\n`;
    assert.equal(decode_netpbm(file(header, 1, 2, 3, 4, 5)), null, header);
  }
  assert.equal(decode_netpbm(file('P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nENDHDR\n', 1)), null, 'no MAXVAL');
  assert.equal(decode_netpbm(file('P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\n', 1)), null, 'no ENDHDR');
});

test('P2 with too few numbers, or with words, is refused', () => {
  assert.equal(decode_netpbm(text('P2 2 2 255 1 2 3')), null);
  assert.equal(decode_netpbm(text('P2 2 2 255 1 2 three 4')), null);
  assert.equal(decode_netpbm(text('P2 9000 9000 255 1 2 3')), null);
});
