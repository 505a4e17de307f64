// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  equalize_query, histogram_query, k_colors, k_default_options, k_formats, k_methods, k_rules, option_errors,
  rule_applies, rules_for, with_option,
} from '../../webui/src/options';

const clahe = { ...k_default_options, method: 'clahe' };

test('the defaults are valid and ask for the plain method', () => {
  assert.deepEqual(option_errors(k_default_options), {});
  assert.equal(equalize_query(k_default_options), 'method=global&rule=opencv&color=luma');
});

test('clip and tiles are sent with CLAHE only', () => {
  assert.equal(equalize_query(clahe), 'method=clahe&rule=opencv&color=luma&clip=2.0&tiles=8x8');
  assert.ok(!equalize_query({ ...clahe, method: 'global' }).includes('clip'));
});

test('a preview format overrides the chosen one, and quality goes with JPEG only', () => {
  const jpeg = { ...k_default_options, format: 'jpeg', quality: ' 85 ' };
  assert.ok(equalize_query(jpeg).endsWith('&format=jpeg&quality=85'));
  assert.ok(equalize_query(jpeg, 'png').endsWith('&format=png'));
  assert.ok(!equalize_query({ ...jpeg, format: '' }).includes('quality'));
});

test('what is typed reaches the query escaped', () => {
  const query = equalize_query({ ...clahe, tiles: '8&admin=1' });
  assert.equal(new URLSearchParams(query).get('tiles'), '8&admin=1');
  assert.equal(new URLSearchParams(query).get('admin'), null);
});

test('histogram_query leaves out what changes no count', () => {
  assert.equal(histogram_query({ ...clahe, format: 'png' }), 'rule=opencv&color=luma');
});

test('clip is a number from 0 to 1000', () => {
  for (const clip of ['0', '2.0', '0.01', '1000', ' 4 ']) assert.deepEqual(option_errors({ ...clahe, clip }), {}, clip);
  for (const clip of ['', '-1', '1000.1', 'x', '1e3', '.5', '0x10', 'NaN']) {
    assert.ok(option_errors({ ...clahe, clip }).clip, clip);
  }
});

test('tiles are one or two whole numbers from 1 to 256', () => {
  for (const tiles of ['1', '8x8', '256x1', '3x17', ' 8x8 ']) {
    assert.deepEqual(option_errors({ ...clahe, tiles }), {}, tiles);
  }
  for (const tiles of ['', '0', '0x8', '8x0', '257', '8x257', '8x', 'x8', '8X8', '8x8x8', '-1']) {
    assert.ok(option_errors({ ...clahe, tiles }).tiles, tiles);
  }
});

test('fields that are not sent are not judged', () => {
  assert.deepEqual(option_errors({ ...k_default_options, clip: 'x', tiles: '', quality: '999' }), {});
});

test('quality is empty or a whole number from 1 to 100', () => {
  const with_quality = (quality: string) => option_errors({ ...k_default_options, format: 'jpeg', quality });
  for (const quality of ['', '1', '75', '100']) assert.deepEqual(with_quality(quality), {}, quality);
  for (const quality of ['0', '101', '7.5', '-5', 'high']) assert.ok(with_quality(quality).quality, quality);
});

test('CLAHE has two rules; another one falls back to OpenCV, and back again changes nothing', () => {
  assert.deepEqual(k_rules.filter((rule) => rule_applies('clahe', rule.value)).map((rule) => rule.value), ['opencv', 'exact']);
  assert.ok(k_rules.every((rule) => rule_applies('global', rule.value)));
  const vips = with_option(k_default_options, 'rule', 'vips');
  assert.equal(with_option(vips, 'method', 'clahe').rule, 'opencv');
  assert.equal(with_option({ ...vips, rule: 'exact' }, 'method', 'clahe').rule, 'exact');
  assert.equal(vips.rule, 'vips');
});

test('every choice is explained in one line, and no value is there twice', () => {
  for (const choices of [k_methods, k_rules, rules_for('clahe'), k_colors, k_formats]) {
    assert.equal(new Set(choices.map((choice) => choice.value)).size, choices.length);
    for (const choice of choices) assert.match(choice.help, /^[^\n]{10,90}$/, choice.label);
  }
});

test('under CLAHE a rule is explained as what it does there', () => {
  assert.equal(rules_for('global'), k_rules);
  assert.match(rules_for('clahe')[0]!.help, /createCLAHE/);
  assert.deepEqual(rules_for('clahe').map((rule) => rule.value), k_rules.map((rule) => rule.value));
});

test('what is wrong with a field is said in the space that its help has', () => {
  const errors = option_errors({ ...clahe, clip: 'x', tiles: 'x', format: 'jpeg', quality: 'x' });
  assert.deepEqual(Object.keys(errors).sort(), ['clip', 'quality', 'tiles']);
  for (const text of Object.values(errors)) assert.ok(text.length <= 30, text);
});
