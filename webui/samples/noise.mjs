// SPDX-License-Identifier: Apache-2.0
// Repeatable noise: the pictures are the same in every build.

// mulberry32: a 32-bit generator with a seed; values in [0, 1).
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const lattice = (x, y, seed) => {
  let h = Math.imul(x, 374761393) ^ Math.imul(y, 668265263) ^ Math.imul(seed, 1442695041);
  h = Math.imul(h ^ (h >>> 13), 1274126177);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
};

const smooth = (t) => t * t * (3 - 2 * t);
const mix = (a, b, t) => a + (b - a) * t;

function valueNoise(x, y, seed) {
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [tx, ty] = [smooth(x - x0), smooth(y - y0)];
  const top = mix(lattice(x0, y0, seed), lattice(x0 + 1, y0, seed), tx);
  const bottom = mix(lattice(x0, y0 + 1, seed), lattice(x0 + 1, y0 + 1, seed), tx);
  return mix(top, bottom, ty);
}

// Octaves of value noise, each half as large and half as strong; about [0, 1].
export function fractal(x, y, seed, octaves) {
  let [sum, weight, total] = [0, 1, 0];
  for (let i = 0; i < octaves; i++) {
    sum += weight * valueNoise(x, y, seed + i);
    total += weight;
    weight /= 2;
    x *= 2;
    y *= 2;
  }
  return sum / total;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export { mix, smooth };
