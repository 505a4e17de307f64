// SPDX-License-Identifier: Apache-2.0
// HISTOD_URL=... HISTOD_TOKEN_FILE=... node page/screenshots.mjs OUT [--all]
// Writes OUT/page-{light,dark}-{1280,390}.png, the page with a result; with --all, the other states too.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { choose, launch, origin, readToken, settled, signIn, watchForTrouble } from './browser.mjs';

const [out = 'screenshots', ...flags] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const token = readToken();
const browser = await launch();
const trouble = [];

async function shoot(page, name) {
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
}

async function otherStates(page, suffix) {
  await page.goto(origin + '/');
  await page.getByLabel('Access token').waitFor();
  await shoot(page, `sign-in-${suffix}`);
  await signIn(page, token);
  await page.getByText('Drop an image here').waitFor();
  await shoot(page, `empty-${suffix}`);
  await page.locator('.node summary').click();
  await shoot(page, `node-${suffix}`);
  await page.locator('.node summary').click();
  await choose(page, 'notes.txt', Buffer.from('These are words, and no image.\n'));
  await page.getByRole('alert').filter({ hasText: 'Status' }).waitFor();
  await shoot(page, `error-${suffix}`);
}

async function result(page, suffix) {
  await signIn(page, token);
  await page.getByRole('button', { name: /Fog/ }).click();
  await settled(page);
  await page.evaluate(() => document.activeElement?.blur());
  await shoot(page, `page-${suffix}`);
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 390]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: width > 500 ? 860 : 844 } });
    const suffix = `${colorScheme}-${width}`;
    const page = await context.newPage();
    const seen = watchForTrouble(page);
    await result(page, suffix);
    trouble.push(...seen);
    await page.close();
    if (flags.includes('--all')) await otherStates(await context.newPage(), suffix);
    await context.close();
  }
}
await browser.close();
if (trouble.length > 0) throw new Error(trouble.join('\n'));
