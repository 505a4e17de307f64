// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browser_shows, format_of_media_type, result_filename, sniff } from '../../webui/src/sniff';

const bytes = (...values: Array<number | string>) =>
  Uint8Array.from(values.flatMap((value) => (typeof value === 'number' ? [value] : [...value].map((c) => c.charCodeAt(0)))));

test('formats are known by their first bytes', () => {
  assert.equal(sniff(bytes(0x89, 'PNG\r\n', 0x1a, '\n')), 'png');
  assert.equal(sniff(bytes(0xff, 0xd8, 0xff, 0xe0)), 'jpeg');
  assert.equal(sniff(bytes('II', 42, 0)), 'tiff');
  assert.equal(sniff(bytes('MM', 0, 42)), 'tiff');
  assert.equal(sniff(bytes('II', 43, 0)), 'tiff');
  assert.equal(sniff(bytes('MM', 0, 43)), 'tiff');
  assert.equal(sniff(bytes('P2 ')), 'pgm');
  assert.equal(sniff(bytes('P5\n')), 'pgm');
  assert.equal(sniff(bytes('P3\n')), 'ppm');
  assert.equal(sniff(bytes('P6\n')), 'ppm');
  assert.equal(sniff(bytes('P7\n')), 'pam');
});

test('everything else is something else', () => {
  for (const other of [bytes(), bytes(0x89), bytes('II', 42), bytes('MM', 42, 0), bytes('P'), bytes('P4'), bytes('GIF89a'), bytes('BM')]) {
    assert.equal(sniff(other), 'other', String(other));
  }
});

test('browsers show PNG and JPEG', () => {
  assert.deepEqual((['png', 'jpeg', 'tiff', 'pgm', 'ppm', 'pam', 'other'] as const).filter(browser_shows), ['png', 'jpeg']);
});

test('a media type names a format, whatever its case and parameters', () => {
  assert.equal(format_of_media_type('image/PNG; charset=binary'), 'png');
  assert.equal(format_of_media_type('image/x-portable-graymap'), 'pgm');
  assert.equal(format_of_media_type('text/html'), 'other');
  assert.equal(format_of_media_type(''), 'other');
});

test('the result is named after the input', () => {
  assert.equal(result_filename('photo.png', 'png'), 'photo_equalized.png');
  assert.equal(result_filename('photo.of.me.png', 'tiff'), 'photo.of.me_equalized.tif');
  assert.equal(result_filename('noext', 'pgm'), 'noext_equalized.pgm');
  assert.equal(result_filename('.hidden', 'png'), '.hidden_equalized.png');
  assert.equal(result_filename('', 'png'), 'image_equalized.png');
});

test('an ending that says the same is kept as it was written', () => {
  assert.equal(result_filename('a.jpeg', 'jpeg'), 'a_equalized.jpeg');
  assert.equal(result_filename('a.JPG', 'jpeg'), 'a_equalized.JPG');
  assert.equal(result_filename('a.tiff', 'tiff'), 'a_equalized.tiff');
  assert.equal(result_filename('a.tiff', 'jpeg'), 'a_equalized.jpg');
  assert.equal(result_filename('a.jpg', 'tiff'), 'a_equalized.tif');
});

test('a path or control characters do not get into the name', () => {
  assert.equal(result_filename('../../etc/x.png', 'png'), 'x_equalized.png');
  assert.equal(result_filename('C:\\temp\\x.png', 'png'), 'x_equalized.png');
  assert.equal(result_filename('a\nb\u0000.png', 'png'), 'ab_equalized.png');
});
