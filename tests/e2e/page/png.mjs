// SPDX-License-Identifier: Apache-2.0
// PNG by hand, apart from zlib: so that the test's pixels come from nobody's codec but the test's.
import { deflateSync, inflateSync } from 'node:zlib';

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const channelsOf = { 0: 1, 2: 3, 4: 2, 6: 4 };

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

function paeth(a, b, c) {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

function unfilter(raw, height, rowBytes, pixelBytes) {
  const out = Buffer.alloc(height * rowBytes);
  for (let y = 0; y < height; y++) {
    const kind = raw[y * (rowBytes + 1)];
    for (let x = 0; x < rowBytes; x++) {
      const a = x >= pixelBytes ? out[y * rowBytes + x - pixelBytes] : 0;
      const b = y > 0 ? out[(y - 1) * rowBytes + x] : 0;
      const c = y > 0 && x >= pixelBytes ? out[(y - 1) * rowBytes + x - pixelBytes] : 0;
      const guess = [0, a, b, (a + b) >> 1, paeth(a, b, c)][kind];
      if (guess === undefined) throw new Error(`row ${y} has filter ${kind}`);
      out[y * rowBytes + x] = raw[y * (rowBytes + 1) + 1 + x] + guess;
    }
  }
  return out;
}

// 8 or 16 bit, not interlaced, no palette. 16-bit samples are two bytes, the high one first.
export function decodePng(bytes) {
  if (!bytes.subarray(0, 8).equals(signature)) throw new Error('no PNG');
  let header;
  const data = [];
  for (let at = 8; at < bytes.length;) {
    const size = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + size);
    if (bytes.readUInt32BE(at + 8 + size) !== crc32(bytes.subarray(at + 4, at + 8 + size))) throw new Error(`CRC of ${type}`);
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') data.push(body);
    at += 12 + size;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, color, , , interlace] = header.subarray(8);
  const channels = channelsOf[color];
  if (interlace !== 0 || !channels || depth < 8) throw new Error(`depth ${depth}, colour ${color}, interlace ${interlace}`);
  const pixelBytes = (channels * depth) / 8;
  return { width, height, depth, channels, pixels: unfilter(inflateSync(Buffer.concat(data)), height, width * pixelBytes, pixelBytes) };
}

export function encodePng({ width, height, depth, channels, pixels }) {
  const rowBytes = (width * channels * depth) / 8;
  const raw = Buffer.alloc(height * (rowBytes + 1));
  for (let y = 0; y < height; y++) Buffer.from(pixels).copy(raw, y * (rowBytes + 1) + 1, y * rowBytes, (y + 1) * rowBytes);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = depth;
  header[9] = { 1: 0, 3: 2, 2: 4, 4: 6 }[channels];
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(raw)), chunk('IEND', Buffer.alloc(0))]);
}
