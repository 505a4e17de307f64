// SPDX-License-Identifier: Apache-2.0
// Equalization by its definition, one pixel after the other: the tests' oracle, and what the stand-in answers with.
import { createHash } from 'node:crypto';
import { decodePng, encodePng } from './png.mjs';

function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

function countLevels(pixels) {
  const counts = new Array(256).fill(0);
  for (const value of pixels) counts[value]++;
  return counts;
}

// The rule "opencv". Every step is rounded to float32.
function table(pixels) {
  const counts = countLevels(pixels);
  const first = counts.findIndex((count) => count > 0);
  const scale = Math.fround(255 / (pixels.length - counts[first]));
  let sum = 0;
  return counts.map((count, level) => {
    if (level <= first) return 0;
    sum += count;
    return Math.min(255, roundHalfEven(Math.fround(Math.fround(sum) * scale)));
  });
}

export function naiveEqualize(pixels) {
  const lut = table(pixels);
  return Buffer.from(pixels.map((value) => lut[value]));
}

// A dim gradient with a texture: 61 levels, none of them as often as another.
export function dimGray(width, height) {
  const pixels = Buffer.alloc(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels[y * width + x] = 90 + Math.floor((x * x) / 400) + ((x * 7 + y * 13) % 17) + (y >> 4);
  }
  return { width, height, depth: 8, channels: 1, pixels };
}

function read(body) {
  try {
    const image = decodePng(body);
    return image.depth === 8 && image.channels === 1 ? image : null;
  } catch {
    return null;
  }
}

// Null for what is no 8-bit gray PNG.
export function equalizeAnswer(body) {
  const image = read(body);
  if (!image) return null;
  const digest = createHash('sha256').update(Buffer.from(table(image.pixels))).digest('hex');
  const headers = { 'Content-Type': 'image/png', 'Histod-Lut-Digest': `sha-256=${digest}`, 'Server-Timing': 'receive;dur=0.1, decode;dur=1.5, histogram;dur=0.2, lut;dur=0.1, apply;dur=0.3, encode;dur=2.2, total;dur=4.5' };
  return { headers, body: encodePng({ ...image, pixels: naiveEqualize(image.pixels) }) };
}

export function histogramAnswer(body) {
  const image = read(body);
  if (!image) return null;
  const { width, height, pixels } = image;
  const histogram = countLevels(pixels);
  const mean = pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
  let sum = 0;
  const cdf = histogram.map((count) => (sum += count));
  const plane = {
    page: 0, channel: 0, levels: 256, counted: pixels.length, masked: 0, min: Math.min(...pixels), max: Math.max(...pixels), mean,
    stddev: Math.sqrt(pixels.reduce((all, value) => all + (value - mean) ** 2, 0) / pixels.length), median: 0, entropy_bits: 5, histogram, cdf,
    lut: table(pixels), after: [],
  };
  const answer = { format: 'png', width, height, depth: 8, channels: 1, pages: 1, planes: [plane] };
  return { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(answer) };
}
