// SPDX-License-Identifier: Apache-2.0
// What the page's test and its screenshots share. HISTOD_URL and HISTOD_TOKEN_FILE say where the daemon is;
// HISTOD_CHROMIUM, which browser.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const origin = (process.env.HISTOD_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');

// A token that may submit: from HISTOD_TOKEN, or from the file's lines "ROLE TOKEN [NAME]".
export function readToken(file = process.env.HISTOD_TOKEN_FILE) {
  if (process.env.HISTOD_TOKEN) return process.env.HISTOD_TOKEN;
  if (!file) throw new Error('set HISTOD_URL and HISTOD_TOKEN_FILE (or HISTOD_TOKEN)');
  const lines = readFileSync(file, 'utf8').split('\n').map((line) => line.trim().split(/\s+/));
  const found = lines.find(([role]) => role === 'submit' || role === 'admin');
  if (!found?.[1]) throw new Error(`no token that may submit in ${file}`);
  return found[1];
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.HISTOD_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-proxy-server'],
  });
}

// A daemon that knows no live video answers 404 to the page's first question about it: Chromium notes that as an error.
const expected = (message) => /\/v1\/streams$/.test(message.location().url) && message.text().includes('404');

// Collects what the console and the policy complain about.
export function watchForTrouble(page) {
  const trouble = [];
  page.on('pageerror', (error) => trouble.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !expected(message)) trouble.push(`${message.type()}: ${message.text()}`);
  });
  return trouble;
}

export async function signIn(page, token, at = origin) {
  await page.goto(at + '/');
  await page.getByLabel('Access token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function choose(page, name, buffer, mimeType = 'application/octet-stream') {
  await chooseAll(page, [{ name, mimeType, buffer }]);
}

export const chooseAll = (page, files) => page.locator('input[type=file]').setInputFiles(files);

// Until the result is there, its histogram too, and nothing is under way.
export async function settled(page) {
  await page.locator('.actions a.button[download]').waitFor();
  await page.locator('.plot .uplot').nth(2).waitFor();
  await page.locator('.canvas[aria-busy=false] img').first().waitFor();
}

// What axe finds wrong with the page as it is, an element a line.
export function axeViolations(page) {
  return page.evaluate(async (source) => {
    if (!window.axe) window.eval(source);
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')} ${node.failureSummary}`));
  }, readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
}
