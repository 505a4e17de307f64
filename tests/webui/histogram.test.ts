// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axis_top, cdf_percent, chart_series as series_of, fold, lut_curve, plane_name, type Counts, type Plane } from '../../webui/src/histogram';

const k_numbers = { levels: 256, counted: 0, masked: 0, min: 0, max: 0, mean: 0, stddev: 0, median: 0, entropy_bits: 0, cdf: [] };
const chart_series = (counts: Counts) => series_of(counts, 'channels');
const plane = (channel: number, histogram: number[], page = 0): Plane => ({ ...k_numbers, page, channel, histogram });
const counts = (depth: number, planes: Plane[]): Counts =>
  ({ format: 'png', width: 1, height: 1, depth, channels: 1, pages: 1, planes });
const sum = (all: number[]) => all.reduce((total, count) => total + count, 0);

test('fold keeps the total at every length, and the place of each count', () => {
  for (const length of [1, 255, 256, 257, 1000, 4096, 65536]) {
    const bars = fold(Array.from({ length }, (_, i) => i % 7));
    assert.ok(bars.length <= 256, `${length}`);
    assert.equal(sum(bars), sum(Array.from({ length }, (_, i) => i % 7)));
  }
  const one = new Array<number>(65536).fill(0);
  one[513] = 5;
  assert.deepEqual(fold(one).map((count, i) => [i, count]).filter(([, count]) => count! > 0), [[2, 5]]);
});

test('fold does not change what it is given', () => {
  const given = [1, 2, 3];
  fold(given).push(9);
  assert.deepEqual(given, [1, 2, 3]);
});

test('the CDF rises from the first count to 100 %', () => {
  assert.deepEqual(cdf_percent([0, 1, 0, 3]), [0, 25, 25, 100]);
  assert.deepEqual(cdf_percent([0, 0]), [0, 0]);
});

test('the axis has the levels of the depth', () => {
  const eight = chart_series(counts(8, [plane(0, new Array(256).fill(1))]));
  assert.equal(eight?.level_step, 1);
  assert.equal(eight?.levels.at(-1), 255);
  const sixteen = chart_series(counts(16, [plane(0, new Array(256).fill(1))]));
  assert.equal(sixteen?.level_step, 256);
  assert.equal(sixteen?.levels.at(-1), 65280);
  const unfolded = chart_series(counts(16, [plane(0, new Array(65536).fill(1))]));
  assert.deepEqual(unfolded?.levels, sixteen?.levels);
});

test('all channels of the first page are drawn, and no other page', () => {
  const bars = new Array(256).fill(1);
  const series = chart_series(counts(8, [plane(0, bars), plane(1, bars), plane(2, bars), plane(0, bars, 1)]));
  assert.deepEqual(series?.planes.map((one) => one.name), ['Red', 'Green', 'Blue']);
  assert.equal(chart_series(counts(8, [])), null);
});

test('the top of the axis is the tallest bar, unless that one would flatten all the others', () => {
  const series = (bars: number[]) => chart_series(counts(8, [plane(0, bars)]));
  assert.equal(axis_top([series([0, 10, 20, 30])]), 30);
  const crowded = new Array<number>(256).fill(10);
  crowded[0] = 100000;
  assert.equal(axis_top([series(crowded), null]), 60);
  assert.equal(axis_top([null, null]), 1);
  assert.equal(axis_top([series([0, 0])]), 1);
});

test('a plane is named by what it counts', () => {
  const name = (channels: number, planes: number, color: string) => {
    const all = Array.from({ length: planes }, (_, i) => plane(i, [1]));
    const answer = { ...counts(8, all), channels };
    return all.map((one) => plane_name(answer, one, color)).join(' ');
  };
  assert.equal(name(1, 1, 'luma'), 'Gray');
  assert.equal(name(2, 1, 'luma'), 'Gray');
  assert.equal(name(3, 1, 'gray'), 'Gray');
  assert.equal(name(3, 1, 'luma'), 'Luma');
  assert.equal(name(4, 1, 'ycrcb'), 'Luma');
  assert.equal(name(3, 1, 'lab'), 'L*');
  assert.equal(name(4, 3, 'channels'), 'Red Green Blue');
  assert.equal(name(5, 5, 'channels'), 'Band 1 Band 2 Band 3 Band 4 Band 5');
});

test('the table’s curve goes from the lowest level to the highest, and is as long as a chart is wide', () => {
  const inverse = Array.from({ length: 256 }, (_, i) => 255 - i);
  const eight = lut_curve(counts(8, [{ ...plane(0, [1]), lut: inverse }]), 'gray')!;
  assert.deepEqual([eight.levels.length, eight.levels[0], eight.levels.at(-1), eight.top], [256, 0, 255, 255]);
  assert.deepEqual([eight.planes[0]!.values[0], eight.planes[0]!.values.at(-1)], [255, 0]);
  const long = Array.from({ length: 65536 }, (_, i) => i);
  const sixteen = lut_curve(counts(16, [{ ...plane(0, [1]), lut: long }]), 'gray')!;
  assert.ok(sixteen.levels.length <= 256);
  assert.equal(sixteen.levels.at(-1), 65535);
  assert.deepEqual(sixteen.planes[0]!.values, sixteen.levels, 'unchanged levels are the diagonal');
});

test('without a table for the whole image there is no curve', () => {
  assert.equal(lut_curve(counts(8, [plane(0, [1])]), 'gray'), null);
  assert.equal(lut_curve(counts(8, [{ ...plane(0, [1]), lut: [] }]), 'gray'), null);
  assert.equal(lut_curve(counts(8, []), 'gray'), null);
});
