// SPDX-License-Identifier: Apache-2.0
// A small PNG writer: samples in, file out. 8 or 16 bit, 1 or 3 channels, no interlace.
import { crc32Table } from './crc32.mjs';
import { deflateSync } from 'node:zlib';

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(data.length);
  const tail = Buffer.alloc(4);
  let crc = 0xffffffff;
  for (const byte of body) crc = crc32Table[(crc ^ byte) & 255] ^ (crc >>> 8);
  tail.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return Buffer.concat([head, body, tail]);
}

// `samples` holds width x height x channels whole numbers, row by row.
export function encodePng({ width, height, channels, depth, samples }) {
  const sampleBytes = depth / 8;
  const rowBytes = width * channels * sampleBytes;
  const pixelBytes = channels * sampleBytes;
  const raw = Buffer.alloc(height * rowBytes);
  samples.forEach((value, i) => (depth === 16 ? raw.writeUInt16BE(value, 2 * i) : raw.writeUInt8(value, i)));
  const filtered = Buffer.alloc(height * (rowBytes + 1));
  for (let y = 0; y < height; y++) {
    filtered[y * (rowBytes + 1)] = 1;  // filter "Sub": each byte less the one a pixel before
    for (let x = 0; x < rowBytes; x++) {
      const left = x >= pixelBytes ? raw[y * rowBytes + x - pixelBytes] : 0;
      filtered[y * (rowBytes + 1) + 1 + x] = raw[y * rowBytes + x] - left;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, channels === 3 ? 2 : 0, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(filtered, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
