// SPDX-License-Identifier: Apache-2.0
// Live video in a real browser against the daemon. STREAM: what is to be seen of a stream whose packets came already;
// HISTOCTL: the program that the page's own commands are run with.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, origin, readToken, signIn, watchForTrouble } from './browser.mjs';

const known = JSON.parse(process.env.STREAM);
const token = readToken();
let browser;
let page;
let trouble;

before(async () => {
  browser = await launch();
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
  trouble = watchForTrouble(page);
  await signIn(page, token);
  await page.getByRole('tab', { name: 'Live' }).click();
});
after(async () => { await browser?.close(); });

const api = async (path) => (await fetch(`${origin}${path}`, { headers: { Authorization: `Bearer ${token}` } })).json();
const card = (name) => page.getByRole('listitem', { name: `Stream ${name}` });
const detail = (name) => page.getByRole('region', { name: `Stream ${name}, in detail` });
const counted = async () => Object.fromEntries((await page.locator('.numbers tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))))
  .map(([name, count]) => [name, Number(count.replaceAll(',', ''))]));
const facts = async () => Object.fromEntries(await page.locator('.live-about .facts > div').evaluateAll((all) => all.map((one) => [...one.children].map((part) => part.textContent))));

async function shoot(name) {
  const folder = process.env.HISTOD_SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.mouse.move(0, 0);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, timeout: 120_000 });
}

async function remove(name) {
  await card(name).getByRole('button').click();
  await detail(name).getByRole('button', { name: 'Remove', exact: true }).click();
  await detail(name).getByRole('button', { name: 'Remove it' }).click();
  await card(name).waitFor({ state: 'detached' });
}

test('of packets that a sender made from the RFCs the page says what the naive model says', async () => {
  await detail(known.name).getByText('No packet comes in any more.').waitFor();
  await page.locator('.live-detail .plot .uplot').nth(1).waitFor();
  const rows = await counted();
  for (const [name, count] of Object.entries(known.rows)) assert.equal(rows[name], count, name);
  assert.equal(rows['Packets lost'] + rows['Packets missing, may yet come'], known.never_came);
  assert.deepEqual([(await facts()).SSRC, (await facts())['Listens on']], [known.ssrc, known.local]);
  assert.match(await detail(known.name).locator('.digest code').getAttribute('title'), new RegExp(`${known.digest}$`));
  const box = await page.locator('.live-detail .u-over').nth(1).boundingBox();
  await page.mouse.move(box.x + (box.width * 100) / 255, box.y + 40);
  const curve = page.locator('.chart .reading').nth(1);
  await curve.getByText('becomes').waitFor();
  const [, from, to] = /^Level (\d+) becomes (\d+)$/.exec(await curve.innerText());
  assert.equal(Number(to), known.lut[from]);
  for (const side of ['In', 'Out']) {
    const picture = page.getByRole('img', { name: new RegExp(`^${side}:`) });
    await picture.waitFor();
    assert.deepEqual(await picture.evaluate(async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }), [64, 48]);
  }
  await page.waitForResponse((response) => response.url().includes('/preview?') && response.status() === 304);  // asked for again by its ETag
  await detail(known.name).locator('.incidents li', { hasText: 'packets come in' }).waitFor();
  assert.deepEqual(trouble, []);
});

test('it is changed while it is there, and a refusal is in the daemon’s words', async () => {
  const form = page.getByRole('form', { name: `Change ${known.name}` });
  const apply = form.getByRole('button', { name: 'Apply' });
  await form.getByLabel('Rule', { exact: true }).selectOption('vips');
  await form.getByLabel('Frames', { exact: true }).fill('9');
  await apply.click();
  await form.getByText('Holds from the next frame on.').waitFor();
  const { config } = await api(`/v1/streams/${known.name}`);
  assert.deepEqual([config.rule, config.window], ['vips', { frames: 9 }]);
  await form.getByLabel('Targets', { exact: true }).fill('[::1]:5006');
  await apply.click();
  assert.match(await form.getByRole('alert').innerText(), /must be of the IP version that is listened on/);
  await form.getByRole('button', { name: 'Undo' }).click();
  await form.getByRole('alert').waitFor({ state: 'detached' });
  assert.deepEqual(trouble.splice(0).filter((line) => !line.includes('422')), []);
});

test('one is added, which waits; the port that is taken is told', async () => {
  const add = async (name, listen) => {
    await page.getByRole('button', { name: 'Add a stream' }).click();
    const form = page.locator('.live-add');
    for (const [label, text] of [['Name', name], ['Listens on', listen], ['Width', '320'], ['Height', '180']]) await form.getByLabel(label, { exact: true }).fill(text);
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    return form;
  };
  await add('second', '127.0.0.1:0');
  await detail('second').getByText(/No packet came in yet\. It listens on 127\.0\.0\.1:[1-9]/).waitFor();
  await detail('second').getByText('No whole frame came in yet.').first().waitFor();
  const form = await add('third', known.local);
  assert.match(await form.getByRole('alert').innerText(), /409/);
  await form.getByRole('button', { name: 'Cancel' }).click();
  assert.deepEqual(trouble.splice(0).filter((line) => !/404|409/.test(line)), []);
});

test('the commands that the page names begin a stream, and play to it', async () => {
  for (const name of ['second', known.name]) await remove(name);
  await page.getByRole('heading', { name: 'No streams yet' }).waitFor();
  const [set, send] = await page.locator('.command pre').allInnerTexts();
  const run = (command) => spawn('bash', ['-c', `histoctl() { "$HISTOCTL" "$@"; }; ${command}`], {
    detached: true, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, HISTOCTL_SERVER: origin, HISTOCTL_TOKEN: token },
  });
  // Small, and at a port that is free; the rest is as it is written there.
  const small = (command) => command.replace('1280x720', '320x180');
  const [code] = await once(run(small(set).replace('0.0.0.0:5004', '127.0.0.1:0')), 'close');
  assert.equal(code, 0);
  await detail('camera').getByText('No packet came in yet.').waitFor();
  const { local } = await api('/v1/streams/camera');
  const player = run(`${small(send).replace('127.0.0.1:5004', local)} --json`);
  const ended = once(player, 'close');
  const target = createSocket('udp4').bind(0, '127.0.0.1');
  await once(target, 'listening');
  let printed = '';
  player.stdout.on('data', (text) => { printed += text; });
  try {
    await card('camera').locator('.chip.good', { hasText: 'running' }).waitFor();
    await page.getByRole('img', { name: /^Out:/ }).waitFor();
    // The table is that of a full window, and it is asked for again and again.
    await page.locator('.live-about .facts dd', { hasText: '32 of 32 frames' }).waitFor();
    // Sent on from now on: how long that takes is told from then on.
    const form = page.getByRole('form', { name: 'Change camera' });
    await form.getByLabel('Targets', { exact: true }).fill(`127.0.0.1:${target.address().port}`);
    await form.getByRole('button', { name: 'Apply' }).click();
    assert.equal((await once(target, 'message'))[0][0] >> 6, 2, 'RTP');
    await card('camera').locator('.stats > div', { hasText: /^Delay p50[\d.]+ [nµm]?s$/ }).waitFor();
    await card('camera').locator('.stats > div', { hasText: /^Frames\/s[1-9][\d.]*$/ }).waitFor();
    await shoot('live-daemon-light-1440');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shoot('live-daemon-dark-1440');
  } finally {
    process.kill(-player.pid, 'SIGINT');
    await ended;
    target.close();
  }
  await detail('camera').getByText('No packet comes in any more.').waitFor();
  const told = await api('/v1/streams/camera');
  const rows = await counted();
  assert.deepEqual([rows['Packets received'], rows['Frames whole']], [told.packets.received, told.frames.whole]);
  assert.ok(told.packets.received <= JSON.parse(printed).packets, printed);
  assert.deepEqual(trouble.filter((line) => !line.includes('404')), []);
});
