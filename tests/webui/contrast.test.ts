// SPDX-License-Identifier: Apache-2.0
// WCAG 2.1 AA: text 4.5 : 1 against its ground, controls and graphs 3 : 1. By the standard's own formula.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const k_theme = readFileSync('src/styles/theme.css', 'utf8');

function palette(css: string): Record<string, string> {
  return Object.fromEntries([...css.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map((match) => [match[1]!, match[2]!]));
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high! + 0.05) / (low! + 0.05);
}

const [light = '', dark = ''] = k_theme.split('@media (prefers-color-scheme: dark)');
const k_text = [
  ['text', 'panel'], ['text', 'ground'], ['text', 'accent-soft'], ['muted', 'panel'], ['muted', 'ground'], ['muted', 'sunken'],
  ['accent', 'panel'], ['accent', 'ground'], ['accent', 'accent-soft'], ['on-accent', 'accent'], ['on-accent', 'accent-strong'],
  ['bad', 'panel'], ['bad', 'ground'], ['bad', 'bad-soft'], ['bad', 'sunken'], ['bad', 'accent-soft'], ['warn', 'warn-soft'], ['warn', 'panel'],
  ['warn', 'sunken'], ['warn', 'accent-soft'], ['good', 'panel'], ['good', 'good-soft'], ['good', 'sunken'], ['good', 'accent-soft'], ['rollout', 'panel'],
  ['rollout', 'rollout-soft'], ['rollout', 'accent-soft'], ['muted', 'accent-soft'], ['text', 'sunken'],
];
const k_graphics = [
  ['edge', 'panel'], ['edge', 'ground'], ['accent', 'panel'], ['good', 'panel'], ['bad', 'panel'], ['rollout', 'panel'], ['bar', 'panel'], ['curve', 'panel'],
  ['curve-red', 'panel'], ['curve-green', 'panel'], ['curve-blue', 'panel'],
];

test('the formula gives the known extremes', () => {
  assert.equal(Math.round(contrast('#000000', '#ffffff')), 21);
  assert.equal(contrast('#777777', '#777777'), 1);
});

for (const [name, colors] of Object.entries({ light: palette(light), dark: { ...palette(light), ...palette(dark) } })) {
  for (const [pairs, least] of [[k_text, 4.5], [k_graphics, 3]] as const) {
    test(`${name}: ${least} : 1`, () => {
      for (const [front, back] of pairs) {
        const ratio = contrast(colors[front!]!, colors[back!]!);
        assert.ok(ratio >= least, `${front} on ${back}: ${ratio.toFixed(2)}`);
      }
    });
  }
}
