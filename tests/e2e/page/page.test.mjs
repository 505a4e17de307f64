// SPDX-License-Identifier: Apache-2.0
// The page against a running daemon, in a real browser: HISTOD_URL=... HISTOD_TOKEN_FILE=... node --test page/page.test.mjs
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { choose, launch, origin, readToken, settled, signIn, watchForTrouble } from './browser.mjs';
import { dimGray, naiveEqualize } from './naive.mjs';
import { decodePng, encodePng } from './png.mjs';

const token = readToken();
let browser;
let context;
let page;
let trouble;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });
beforeEach(async () => {
  context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1280, height: 860 } });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
  trouble = watchForTrouble(page);
});
afterEach(async () => { await context?.close(); });

async function download() {
  const [event] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()]);
  return { name: event.suggestedFilename(), bytes: readFileSync(await event.path()) };
}

test('an image goes in and its equalized pixels come out of the download button', async () => {
  const image = dimGray(120, 90);
  await signIn(page, token);
  await choose(page, 'dim.day.png', encodePng(image), 'image/png');
  await settled(page);
  const { name, bytes } = await download();
  assert.equal(name, 'dim.day_equalized.png');
  const result = decodePng(bytes);
  assert.deepEqual([result.width, result.height, result.depth, result.channels], [120, 90, 8, 1]);
  const expected = naiveEqualize(image.pixels);
  assert.ok(!expected.equals(image.pixels), 'the image has something to equalize');
  assert.ok(result.pixels.equals(expected), 'pixel for pixel');
  assert.deepEqual(trouble, []);
});

test('the numbers of the page are those of the pixels', async () => {
  const image = dimGray(64, 50);
  await signIn(page, token);
  await choose(page, 'dim.png', encodePng(image), 'image/png');
  await settled(page);
  const row = async (label) => {
    const cells = page.locator('.numbers tr').filter({ has: page.getByRole('rowheader', { name: label, exact: true }) }).locator('td');
    return cells.allInnerTexts();
  };
  const after = naiveEqualize(image.pixels);
  const both = (of) => [of([...image.pixels]), of([...after])];
  assert.deepEqual(await row('Size'), ['64 × 50', '64 × 50']);
  assert.deepEqual(await row('Pixels counted'), ['3,200', '3,200']);
  assert.deepEqual(await row('Lowest'), both((all) => String(Math.min(...all))));
  assert.deepEqual(await row('Highest'), both((all) => String(Math.max(...all))));
  assert.deepEqual(await row('Mean'), both((all) => (all.reduce((sum, value) => sum + value, 0) / all.length).toFixed(2)));
  assert.match(await page.locator('.digest code').getAttribute('title'), /[0-9a-f]{64}/);
  assert.match(await page.locator('.provenance .total').innerText(), /^[\d.]+ m?s$/);
  assert.deepEqual(trouble, []);
});

test('changing the rule runs again; the older result never wins', async () => {
  const image = dimGray(80, 60);
  await signIn(page, token);
  await choose(page, 'dim.png', encodePng(image), 'image/png');
  await settled(page);
  const asked = [];
  page.on('request', (request) => request.url().includes('/v1/equalize') && asked.push(new URL(request.url()).searchParams.get('rule')));
  const answered = (rule) => page.waitForResponse((response) => response.url().includes('/v1/equalize') && response.url().includes(`rule=${rule}`));
  const check = (rule) => page.getByLabel(rule, { exact: true }).check({ force: true });
  await Promise.all([answered('exact'), check('Exact')]);
  await settled(page);
  const last = answered('opencv');
  for (const rule of ['libvips', 'OpenCV']) await check(rule);
  await last;
  await settled(page);
  assert.equal(asked.at(-1), 'opencv');
  assert.ok(asked.length <= 3, `asked for ${asked.join(', ')}`);
  assert.ok(decodePng((await download()).bytes).pixels.equals(naiveEqualize(image.pixels)));
});

test('a PGM, which no browser shows, has a before and an after', async () => {
  const { width, height, pixels } = dimGray(40, 30);
  await signIn(page, token);
  await choose(page, 'dim.pgm', Buffer.concat([Buffer.from(`P5\n${width} ${height}\n255\n`), pixels]));
  await settled(page);
  for (const side of ['before', 'after']) {
    const size = await page.locator(`.frame img.${side}`).evaluate(async (image) => {
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    });
    assert.deepEqual(size, [width, height], side);
  }
  const { name, bytes } = await download();
  assert.equal(name, 'dim_equalized.pgm');
  assert.ok(bytes.subarray(-width * height).equals(naiveEqualize(pixels)));
  assert.deepEqual(trouble, []);
});

// A TIFF by hand: one strip of 16-bit gray, little-endian, no compression.
function encodeTiff16({ width, height, values }) {
  const tags = [
    [256, 3, width], [257, 3, height], [258, 3, 16], [259, 3, 1], [262, 3, 1], [273, 4, 8], [277, 3, 1], [278, 3, height],
    [279, 4, 2 * values.length],
  ];
  const out = Buffer.alloc(8 + 2 * values.length + 2 + 12 * tags.length + 4);
  out.write('II', 0, 'latin1');
  out.writeUInt16LE(42, 2);
  out.writeUInt32LE(8 + 2 * values.length, 4);
  values.forEach((value, i) => out.writeUInt16LE(value, 8 + 2 * i));
  let at = out.writeUInt16LE(tags.length, 8 + 2 * values.length);
  for (const [tag, type, value] of tags) {
    out.writeUInt16LE(tag, at);
    out.writeUInt16LE(type, at + 2);
    out.writeUInt32LE(1, at + 4);
    out.writeUInt32LE(value, at + 8);
    at += 12;
  }
  return out;
}

test('of a TIFF the result is shown, with a note, and the file stays a 16-bit TIFF', async () => {
  const values = Array.from({ length: 48 * 32 }, (_, i) => 1000 + 3 * i);
  await signIn(page, token);
  await choose(page, 'scan.tiff', encodeTiff16({ width: 48, height: 32, values }));
  await settled(page);
  assert.match(await page.locator('.note').innerText(), /only the result is shown/);
  assert.equal(await page.locator('.frame img.before').count(), 0);
  const size = await page.locator('.frame img.after').evaluate(async (image) => {
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
  });
  assert.deepEqual(size, [48, 32]);
  assert.match(await page.locator('.numbers').innerText(), /1 × 16 bit/);
  const { name, bytes } = await download();
  assert.equal(name, 'scan_equalized.tiff');
  assert.match(bytes.toString('latin1', 0, 4), /^(II\*\0|MM\0\*)$/);
  assert.deepEqual(trouble, []);
});

test('the line between before and after moves by keys and by the pointer', async () => {
  await signIn(page, token);
  await choose(page, 'dim.png', encodePng(dimGray(120, 90)), 'image/png');
  await settled(page);
  const line = page.getByRole('slider');
  const value = async () => Number(await line.getAttribute('aria-valuenow'));
  await line.focus();
  assert.equal(await value(), 50);
  for (const [key, expected] of [['ArrowLeft', 48], ['PageUp', 58], ['Home', 0], ['End', 100], ['ArrowRight', 100]]) {
    await page.keyboard.press(key);
    assert.equal(await value(), expected, key);
  }
  const box = await page.locator('.frame').boundingBox();
  await page.mouse.click(box.x + box.width / 4, box.y + box.height / 2);
  assert.equal(await value(), 25);
});

test('the curl command has the options and the file, and never the token', async () => {
  await signIn(page, token);
  await choose(page, "it's dim.png", encodePng(dimGray(20, 20)), 'image/png');
  await settled(page);
  await page.getByRole('button', { name: 'Copy curl command' }).click();
  await page.getByText('Copied').first().waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(command.includes(`${origin}/v1/equalize?method=global&rule=opencv&color=luma`), command);
  assert.ok(command.includes(`'@it'\\''s dim.png'`), command);
  assert.ok(command.includes('Bearer $HISTOD_TOKEN'), command);
  assert.ok(!command.includes(token));
});

test('what is no image gets the server’s own explanation', async () => {
  await signIn(page, token);
  await choose(page, 'notes.txt', Buffer.from('These are words, and no image.\n'));
  const problem = page.locator('.problem');
  await problem.waitFor();
  assert.match(await problem.innerText(), /\b415\b/);
  assert.equal(await page.getByRole('button', { name: 'Download' }).isDisabled(), true);
  await choose(page, 'dim.png', encodePng(dimGray(20, 20)), 'image/png');
  await settled(page);
});

test('a wrong token says so, and nothing is kept', async () => {
  await signIn(page, 'wrong-token-of-the-page-test');
  await page.getByText('This token is not known to the server').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length + document.cookie.length), 0);
  await page.getByLabel('Access token').fill('');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Paste a token first').waitFor();
});

test('the token outlives a reload of the tab, and signing out forgets it', async () => {
  await signIn(page, token);
  await page.getByText('Drop images here').waitFor();
  await page.reload();
  await page.getByText('Drop images here').waitFor();
  assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Access token').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.deepEqual(trouble, []);
});

test('the page is served with a policy that allows nothing inline', async () => {
  const response = await page.goto(origin + '/');
  const policy = response.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  await page.getByLabel('Access token').waitFor();
  assert.deepEqual(trouble, []);
});

for (const [width, height] of [[1280, 860], [390, 844]]) {
  test(`at ${width} pixels nothing is wider than the window, and a result moves nothing`, async () => {
    await page.setViewportSize({ width, height });
    await signIn(page, token);
    await page.getByRole('button', { name: /Fog/ }).click();
    await page.locator('.canvas').waitFor();
    const place = () => page.locator('.side').boundingBox();
    const early = await place();
    await settled(page);
    assert.deepEqual(await place(), early);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${content} <= ${window}`);
    await page.getByLabel('By region (CLAHE)').check({ force: true });
    assert.deepEqual(await place(), early);
    assert.deepEqual(trouble, []);
  });
}
