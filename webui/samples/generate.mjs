// SPDX-License-Identifier: Apache-2.0
// Draws the page's sample pictures: each is hard to read until it is equalized.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clamp, fractal, mix, randomFrom, smooth } from './noise.mjs';
import { encodePng } from './png.mjs';

const width = 720;
const height = 480;

// Ridges behind ridges in fog: 8-bit colour that uses about a quarter of the range.
function fog() {
  const samples = new Uint8Array(width * height * 3);
  const ridges = [0.30, 0.42, 0.53, 0.66, 0.80].map((base, i) => Float64Array.from({ length: width }, (_, x) => {
    const far = 1 - i / 5;
    const shape = fractal(x / (70 + 30 * i) + 13 * i, i, 40 + i, 6);
    return height * (base + (0.5 - shape) * (0.22 + 0.12 * far));
  }));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const layer = ridges.reduce((last, ridge, i) => (y >= ridge[x] ? i : last), -1);
      samples.set(fogPixel(x, y, layer, layer < 0 ? 0 : ridges[layer][x]), 3 * (y * width + x));
    }
  }
  return { width, height, channels: 3, depth: 8, samples };
}

function fogPixel(x, y, layer, top) {
  const sky = mix(0.86, 1, y / height) - 0.05 * fractal(x / 160, y / 70, 7, 4);
  let light = sky;
  let green = 0;
  if (layer >= 0) {
    const near = (layer + 1) / 5;
    const depth = clamp((y - top) / 130, 0, 1);
    const texture = fractal(x / (16 - 2 * layer), y / (10 - layer), 90 + layer, 5);
    light = mix(sky, 0.12 + 0.3 * texture, near * 0.85) + 0.3 * (1 - near) * smooth(depth);
    green = near * (0.6 + 0.6 * texture);
  }
  const sun = Math.exp(-((x - 530) ** 2 + (y - 90) ** 2) / 9000);
  const value = 128 + 62 * light + (layer < 0 ? 10 * sun : 3 * sun);
  return [value + 7 * sun - 5 * green, value + 1.5 * green, value + 4 - 9 * green - 8 * sun].map(Math.round);
}

// Cells under a fluorescence microscope: 16-bit gray from a 12-bit camera, so it shows as almost black.
function cells() {
  const random = randomFrom(2024);
  const light = new Float64Array(width * height);
  for (let i = 0; i < 46; i++) drawCell(light, random);
  const samples = Uint16Array.from(light, (value, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    const haze = 60 * fractal(x / 200, y / 200, 3, 3);
    return Math.round(260 + haze + clamp(value, 0, 1.7) * 1500 + 14 * (random() + random() - 1));
  });
  return { width, height, channels: 1, depth: 16, samples };
}

function drawCell(light, random) {
  const [cx, cy] = [random() * width, random() * height];
  const radius = 22 + 26 * random();
  const [stretch, angle, glow, seed] = [0.65 + 0.5 * random(), random() * Math.PI, 0.25 + 0.75 * random(), random() * 1e6];
  const nucleus = { x: (random() - 0.5) * radius * 0.5, y: (random() - 0.5) * radius * 0.5, r: radius * 0.36 };
  const reach = Math.ceil(radius * 2);
  for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(height, cy + reach); y++) {
    for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(width, cx + reach); x++) {
      const [dx, dy] = [x - cx, y - cy];
      const u = dx * Math.cos(angle) + dy * Math.sin(angle);
      const v = (dy * Math.cos(angle) - dx * Math.sin(angle)) / stretch;
      const edge = radius * (0.8 + 0.45 * fractal(dx / 18 + 50, dy / 18 + 50, seed & 4095, 3));
      const inside = smooth(clamp((edge - Math.hypot(u, v)) / 7, 0, 1));
      if (inside === 0) continue;
      const fibres = fractal(u / 9, v / 2.5, seed & 4095, 4);
      const core = smooth(clamp((nucleus.r - Math.hypot(dx - nucleus.x, dy - nucleus.y)) / 4 + 1, 0, 1));
      light[y * width + x] += glow * inside * (0.12 + 0.5 * fibres * fibres + 0.55 * core);
    }
  }
}

// Craters in low light: 8-bit gray crowded into the dark third.
function craters() {
  const random = randomFrom(77);
  const relief = Float64Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return 26 * fractal(x / 120, y / 120, 5, 7);
  });
  for (let i = 0; i < 170; i++) digCrater(relief, random);
  const samples = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (dx, dy) => relief[clamp(y + dy, 0, height - 1) * width + clamp(x + dx, 0, width - 1)];
      const slope = (at(-1, 0) - at(1, 0)) * 0.8 + (at(0, -1) - at(0, 1)) * 0.45;
      const ground = 0.42 + 0.16 * fractal(x / 90, y / 90, 31, 5);
      samples[y * width + x] = Math.round(18 + 58 * clamp(ground - 0.17 * slope, 0, 1));
    }
  }
  return { width, height, channels: 1, depth: 8, samples };
}

function digCrater(relief, random) {
  const radius = 3 + 62 * random() ** 5;
  const [cx, cy, deep] = [random() * width, random() * height, 0.25 + 0.2 * random()];
  const reach = Math.ceil(radius * 1.8);
  for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(height, cy + reach); y++) {
    for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(width, cx + reach); x++) {
      const d = Math.hypot(x - cx, y - cy) / radius;
      const bowl = d < 1 ? deep * radius * (d * d - 1) : 0;
      const rim = 0.3 * deep * radius * Math.exp(-((d - 1) ** 2) / 0.03);
      relief[y * width + x] += 0.5 * bowl + rim;
    }
  }
}

export function writeSamples(folder) {
  for (const [name, draw] of Object.entries({ fog, cells, craters })) {
    writeFileSync(join(folder, `${name}.png`), encodePng(draw()));
  }
}
