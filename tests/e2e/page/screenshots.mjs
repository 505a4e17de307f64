// SPDX-License-Identifier: Apache-2.0
// Pictures of a running node's page; docs/take_screenshots.py brings up the fleet that they are of.
// HISTOD_URL=... HISTOD_TOKEN_FILE=... node page/screenshots.mjs OUT [--states] [--points=N] [--only=light-1280 or a part of it]
// Writes OUT/{work,live,fleet,rollout,events,logs}-{light,dark}-{1280,390}.png; with --states, what is there before a result, too.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { choose, chooseAll, launch, origin, readToken, settled, signIn, watchForTrouble } from './browser.mjs';

const [out = 'screenshots', ...flags] = process.argv.slice(2);
const sparkPoints = Number(flags.find((flag) => flag.startsWith('--points='))?.slice('--points='.length) ?? 20);
const only = flags.find((flag) => flag.startsWith('--only='))?.slice('--only='.length);
mkdirSync(out, { recursive: true });
const token = readToken();
const browser = await launch();
const trouble = [];

async function shoot(page, name, fullPage = false) {
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: join(out, `${name}.png`), fullPage });
}

async function otherStates(page, suffix) {
  await page.goto(origin + '/');
  await page.getByLabel('Access token').waitFor();
  await shoot(page, `sign-in-${suffix}`);
  await signIn(page, token);
  await page.getByText('Drop images here').waitFor();
  await shoot(page, `empty-${suffix}`, true);
  await page.locator('.node summary').click();
  await shoot(page, `node-${suffix}`);
  await page.locator('.node summary').click();
  await choose(page, 'notes.txt', Buffer.from('These are words, and no image.\n'));
  await page.getByRole('alert').filter({ hasText: 'Status' }).waitFor();
  await shoot(page, `error-${suffix}`, true);
}

async function sampleBytes(page, name) {
  const url = await page.getByRole('button', { name }).locator('img').getAttribute('src');
  return Buffer.from(await (await page.request.get(origin + url)).body());
}

async function work(page, suffix) {
  await signIn(page, token);
  await page.getByText('Drop images here').waitFor();
  const files = [];
  for (const [title, name] of [['Fog', 'ridges-in-fog.png'], ['Cells', 'tissue-slide-0418.png'], ['Craters', 'moon-north-rim.png']]) {
    files.push({ name, mimeType: 'image/png', buffer: await sampleBytes(page, new RegExp(title)) });
  }
  files.push({ name: 'field-notes.txt', mimeType: 'text/plain', buffer: Buffer.from('These are words, and no image.\n') });
  await chooseAll(page, files);
  await settled(page);
  await page.locator('.files small').filter({ hasText: '3 of 4 done' }).waitFor();
  await page.locator('.job').first().waitFor();
  await shoot(page, `work-${suffix}`, true);
}

async function views(page, suffix, width) {
  await page.getByRole('tab', { name: 'Live' }).click();
  await page.waitForFunction(() => [...document.querySelectorAll('.live-detail img')].filter((image) => image.naturalWidth > 0).length === 2);
  await page.waitForFunction((least) => (document.querySelector('.live-card .sparks path')?.getAttribute('d') ?? '').split('L').length > least, sparkPoints, { timeout: 150_000 });
  await shoot(page, `live-${suffix}`, true);
  await page.getByRole('tab', { name: 'Fleet' }).click();
  await page.locator('.node-card').first().waitFor();
  await page.waitForFunction((least) => (document.querySelector('.spark path')?.getAttribute('d') ?? '').split('L').length > least, sparkPoints, { timeout: 150_000 });
  await shoot(page, `fleet-${suffix}`, width < 500);
  await page.getByRole('tab', { name: 'Rollout' }).click();
  await page.locator('.lane').first().waitFor();
  await shoot(page, `rollout-${suffix}`, true);
  await page.getByRole('tab', { name: 'Events' }).click();
  for (const kind of [/Logs/, /Jobs/]) await page.getByRole('checkbox', { name: kind }).uncheck({ force: true });
  await page.locator('.event.rollout, .event.bad').first().waitFor();
  if (width > 500) {
    await page.getByLabel('Search').first().fill('latitudesh_server error');
    await page.locator('.event').first().click();
    await page.getByLabel('Search').first().fill('');
  }
  await shoot(page, `events-${suffix}`);
  await page.getByRole('tab', { name: 'Logs' }).click();
  await page.locator('.terminal .virtual-row').first().waitFor();
  await shoot(page, `logs-${suffix}`);
}

// All are opened first: what the Fleet view draws over time comes in together.
const opened = [];
for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 390]) {
    const suffix = `${colorScheme}-${width}`;
    if (only && !suffix.includes(only)) continue;
    const context = await browser.newContext({ colorScheme, viewport: { width, height: width > 500 ? 860 : 844 }, reducedMotion: 'reduce' });
    const page = await context.newPage();
    const seen = watchForTrouble(page);
    await work(page, suffix);
    opened.push({ context, page, suffix, width, seen });
  }
}
for (const { context, page, suffix, width, seen } of opened) {
  await views(page, suffix, width);
  trouble.push(...seen.filter((line) => !line.includes('415')));
  if (flags.includes('--states')) await otherStates(await context.newPage(), suffix);
}
await browser.close();
if (trouble.length > 0) throw new Error(trouble.join('\n'));
