// SPDX-License-Identifier: Apache-2.0
// Live video in a real browser, against the stand-in: HISTOD_WWW=DIST/www node --test page/streams.test.mjs
// With HISTOD_SCREENSHOTS=FOLDER it leaves pictures of the view there.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { axeViolations, launch, watchForTrouble } from './browser.mjs';
import { Mock } from './mock.mjs';
import { config, makeFrames, Streams } from './streams.mjs';

const shots = process.env.HISTOD_SCREENSHOTS;
let browser;
let frames;
let context;
let page;
let mock;
let trouble;

before(async () => {
  browser = await launch();
  frames = await makeFrames(browser);
});
after(async () => { await browser?.close(); });
beforeEach(async () => {
  mock = await new Mock({ www: process.env.HISTOD_WWW }).listen();
  mock.streams = new Streams(frames);
  await open();
});
afterEach(async () => {
  await context?.close();
  await mock.close();
});

async function open(options = {}) {
  await context?.close();
  context = await browser.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce', ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: mock.origin });
  page = await context.newPage();
  page.setDefaultTimeout(30_000);
  trouble = watchForTrouble(page);
}

async function enter() {
  await page.goto(`${mock.origin}/#live`);
  await page.getByLabel('Access token').fill(mock.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('tablist').waitFor();
}

const detail = () => page.locator('.live-detail');
const field = (name) => detail().getByLabel(name, { exact: true });
const shown = (side) => page.getByRole('img', { name: new RegExp(`^${side}:`) });
const asked = (start) => mock.streams.asked.filter((one) => one.startsWith(start));
// Resolves as soon as the stand-in was asked for `count` more of these.
async function askedAgain(start, count) {
  const before = asked(start).length;
  while (asked(start).length < before + count) await page.waitForResponse((response) => response.url().includes('/v1/streams'));
}

async function shoot(name) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.mouse.move(0, 0);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true, timeout: 120_000 });
}

const fits = async () => {
  // Charts follow the window a moment later; who never does is told below.
  await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 10_000 }).catch(() => {});
  const wide = await page.evaluate(() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll('main *')].filter((element) => element.getBoundingClientRect().right > innerWidth).slice(0, 8)
      .map((element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`);
  });
  assert.deepEqual(wide, [], page.url());
};

test('a daemon that knows no streams has no such tab, and its address leads to the first view', async () => {
  mock.streams = null;
  await enter();
  await page.getByText('Drop images here').waitFor();
  assert.deepEqual(await page.getByRole('tab').allInnerTexts(), ['Work', 'Fleet', 'Rollout', 'Events', 'Logs']);
  await page.getByRole('tab', { name: 'Work' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.locator('#tab-fleet[aria-selected=true]:focus').waitFor();
  assert.deepEqual(trouble, []);
});

test('without a stream the view says how to begin, with commands that can be copied', async () => {
  await enter();
  await page.getByRole('heading', { name: 'No streams yet' }).waitFor();
  const commands = await page.locator('.command pre').allInnerTexts();
  assert.match(commands[0], /^histoctl stream set \S+ \\\n +--listen 0\.0\.0\.0:5004 \\\n/);
  assert.match(commands[1], /^histoctl stream send \S+ \\\n +--to 127\.0\.0\.1:5004 \\\n/);
  const form = (command) => command.match(/--(size|sampling|depth) \S+/g);
  assert.equal(form(commands[0]).length, 3);
  assert.deepEqual(form(commands[0]), form(commands[1]), 'what is sent is what is listened for');
  await page.getByRole('button', { name: 'Copy' }).first().click();
  await page.getByText('Copied').first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), commands[0]);
  assert.deepEqual(trouble, []);
});

test('a card tells what the stream does, and the charts have its numbers', async () => {
  mock.streams.held = true;
  mock.streams.add('camera-1', { lost: 4127 });
  await enter();
  const card = page.getByRole('listitem', { name: 'Stream camera-1' });
  await card.waitFor();
  const stats = Object.fromEntries(await card.locator('.stats > div').evaluateAll((all) => all.map((one) => [...one.children].map((part) => part.textContent))));
  assert.equal(stats.Lost, '0.003 %');
  assert.equal(stats.Window, '32 of 32');
  assert.deepEqual([stats['Delay p50'], stats['p99.9']], ['6.10 µs', '83.0 µs']);
  assert.match(stats.Rate, /^1\.4\d Gb\/s$/);
  assert.equal(await card.getByRole('meter').getAttribute('aria-label'), 'CPU 3 busy 41 %, quota 80 %');
  assert.equal(await card.locator('.core-warning').count(), 0);
  await page.locator('.live-detail .plot .uplot').nth(1).waitFor();
  const reading = page.locator('.chart .reading').first();
  const plot = page.locator('.live-detail .u-over').first();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + (box.width * 128.5) / 256, box.y + 40);
  const level = Number(/^Level (\d+)/.exec(await reading.innerText())[1]);
  const count = 9 * frames[0].counts[level];
  assert.ok((await reading.innerText()).includes(`: ${count.toLocaleString('en')} (`), await reading.innerText());
  assert.match(await detail().locator('.digest code').getAttribute('title'), /[0-9a-f]{64}$/);
  assert.match(await page.locator('.numbers').innerText(), /Packets lost\s+4,127/);
  const [low, high] = [frames[0].counts.findIndex((one) => one > 0), frames[0].counts.findLastIndex((one) => one > 0)];
  assert.match(await page.locator('.live-detail .plot').first().getAttribute('aria-label'), new RegExp(`Luma: levels ${low} to ${high}, half of the pixels up to \\d+\\.$`));
  Object.assign(mock.streams.all.get('camera-1'), { malformed: 9, format: { ...config(), width: 1440 } });
  await page.locator('.numbers', { hasText: 'Malformed: line beyond frame' }).waitFor();
  const facts = await detail().locator('.live-about .facts').innerText();
  assert.match(facts, /Format\s+1,440 × 1,080[\s\S]*Configured\s+1,920 × 1,080[\s\S]*Changes\s+size 1 ×/);
  assert.deepEqual(trouble, []);
});

test('the pictures come with the token, are let go of, and rest while nobody looks', async () => {
  await page.addInitScript(() => {
    window.urls = { made: 0, revoked: 0 };
    const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
    URL.createObjectURL = (blob) => { window.urls.made++; return make.call(URL, blob); };
    URL.revokeObjectURL = (url) => { window.urls.revoked++; return revoke.call(URL, url); };
  });
  mock.streams.add('camera-1', { config: config({ preview: { per_second: 5, height_max: 360 } }) });
  await enter();
  for (const side of ['In', 'Out']) {
    await shown(side).waitFor();
    assert.deepEqual(await shown(side).evaluate(async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }), [640, 360]);
  }
  await page.waitForFunction(() => window.urls.made > 12);
  const { made, revoked } = await page.evaluate(() => window.urls);
  assert.ok(made - revoked <= 4, `${made} made, ${revoked} revoked`);
  mock.streams.held = true;
  await askedAgain('GET /v1/streams/camera-1/preview?side=out 304', 3);
  const rest = async (hide, show) => {
    await hide();
    // What was on its way is answered before two more of another view are.
    for (let i = 0; i < 2; i++) await page.evaluate(() => fetch('/readyz').then((answer) => answer.text()));
    const before = asked('GET /v1/streams').length;
    await page.evaluate(() => new Promise((resolve) => { let left = 60; const turn = () => (left-- > 0 ? requestAnimationFrame(turn) : resolve()); turn(); }));
    assert.ok(asked('GET /v1/streams').length - before <= 3, `${asked('GET /v1/streams').slice(before)}`);
    await show();
    await askedAgain('GET /v1/streams/camera-1/preview?side=in', 2);
  };
  const visible = (state) => page.evaluate((to) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => to });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await rest(() => visible('hidden'), () => visible('visible'));
  await rest(() => page.getByRole('tab', { name: 'Fleet' }).click(), () => page.getByRole('tab', { name: 'Live' }).click());
  assert.deepEqual(trouble, []);
});

test('a change sends what is another, and is refused in the server’s words', async () => {
  mock.streams.add('camera-1', { config: config({ targets: ['10.0.0.9:5006', '10.0.0.10:5006'] }) });
  await enter();
  const apply = detail().getByRole('button', { name: 'Apply' });
  await apply.waitFor();
  assert.equal(await apply.isDisabled(), true);
  await field('Clip limit').fill('0.5');
  await page.getByText('0 (none), or 1 to 1000.').waitFor();
  assert.equal(await apply.isDisabled(), true);
  await field('Clip limit').fill('2.5');
  await field('Rule').selectOption('exact');
  await field('Frames').fill('8');
  await field('Targets').fill('10.0.0.9:5006');
  await apply.click();
  await page.getByText('Holds from the next frame on.').waitFor();
  assert.deepEqual(mock.streams.patch, { rule: 'exact', window: { frames: 8 }, clip_limit: 2.5, targets: ['10.0.0.9:5006'] });
  assert.equal(await apply.isDisabled(), true);
  mock.streams.all.get('camera-1').config.scene_cut = 0.5;  // by somebody else
  await page.waitForFunction(() => document.querySelector('#live-scene_cut').value === '0.5');
  mock.streams.refusal = [403, 'forbidden', 'The token’s role does not allow this', { detail: 'PATCH /v1/streams/{name} is for the role admin, and this token has read' }];
  await field('Table made of').selectOption('average');
  await apply.click();
  const problem = detail().getByRole('alert');
  await problem.waitFor();
  assert.match(await problem.innerText(), /does not allow this[\s\S]*for the role admin[\s\S]*403 forbidden/);
  mock.streams.refusal = null;
  await apply.click();
  await problem.waitFor({ state: 'detached' });
  assert.deepEqual(mock.streams.patch, { window: { average_frames: 16 } });
  await field('Scene cut').fill('1');
  await detail().getByRole('button', { name: 'Undo' }).click();
  assert.equal(await field('Scene cut').inputValue(), '0.5');
  assert.deepEqual(trouble.filter((line) => !line.includes('403')), []);
});

test('a stream is added by fields, and by a description; a wrong one says so at its field', async () => {
  mock.streams.add('camera-1');
  await enter();
  await page.getByRole('button', { name: 'Add a stream' }).click();
  const form = page.locator('.live-add');
  const set = (name) => form.getByLabel(name, { exact: true });
  assert.equal(await set('Name').evaluate((element) => element === document.activeElement), true);
  await set('Name').fill('camera-1');
  await form.getByRole('button', { name: 'Add' }).click();
  await form.getByText('There is a stream of this name').waitFor();
  assert.equal(await set('Name').evaluate((element) => element === document.activeElement), true, 'the reader is led to what is wrong');
  await set('Name').fill('camera-2');
  await set('Bits').selectOption('10');
  await set('Rule').selectOption('pillow');
  await form.getByRole('button', { name: 'Add' }).click();
  assert.match(await form.getByRole('alert').innerText(), /pillow is for a depth of 8, not "10"[\s\S]*Value\s+10[\s\S]*Limit\s+8/);
  await set('Rule').selectOption('exact');
  await form.getByRole('button', { name: 'Add' }).click();
  await page.locator('.live-card.chosen', { hasText: 'camera-2' }).waitFor();
  assert.deepEqual([mock.streams.put.depth, mock.streams.put.rule, mock.streams.put.listen], [10, 'exact', '0.0.0.0:5004']);
  await detail().getByText('No whole frame came in yet.').first().waitFor();
  await page.getByRole('button', { name: 'Add a stream' }).click();
  await set('Name').fill('camera-3');
  await set('Format').selectOption('sdp');
  await set('Description').fill('v=0\no=- 1 1 IN IP4 10.0.0.5\ns=camera\nm=video 5010 RTP/AVP 96');
  await set('Listens on').fill('');
  await form.getByRole('button', { name: 'Add' }).click();
  await page.locator('.live-card.chosen', { hasText: 'camera-3' }).waitFor();
  assert.equal(mock.streams.put.sdp, 'v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=camera\r\nm=video 5010 RTP/AVP 96\r\n');
  assert.equal('listen' in mock.streams.put || 'width' in mock.streams.put, false);
  assert.deepEqual(trouble.filter((line) => !/404|422/.test(line)), []);
});

test('a stream is removed only when that is said twice, by keys too', async () => {
  mock.streams.add('camera-1');
  await enter();
  const ask = detail().getByRole('button', { name: 'Remove', exact: true });
  await ask.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: /^Remove camera-1\?/ }).waitFor();
  await page.waitForFunction(() => document.activeElement.textContent === 'Keep it');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.activeElement.textContent === 'Remove');
  assert.deepEqual(asked('DELETE'), []);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.textContent === 'Keep it');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'No streams yet' }).waitFor();
  assert.deepEqual(asked('DELETE'), ['DELETE /v1/streams/camera-1']);
  assert.deepEqual(trouble.filter((line) => !line.includes('404')), []);
});

const broken = 'the port 5004 is taken: bind: Address already in use';

function several() {
  mock.streams.add('camera-1', { lost: 4127 });
  mock.streams.add('studio-b', { core: { cpu: 5, busy: 0.75, quota: 0.8 }, config: config({ depth: 10, window: { average_frames: 16 }, rule: 'exact' }) });
  mock.streams.add('gate', { state: 'silent', core: { cpu: 6, busy: 0.01, quota: 0.8 }, config: config({ width: 1280, height: 720 }) });
  mock.streams.add('broken', { state: 'failed', error: broken });
  const at = Date.now();
  mock.publish([['resumed', 'ok', 'packets come in, SSRC 5eed1a7e', 90], ['loss', 'warning', '4127 packets lost within a second, 4127 in all', 61],
    ['core-near-quota', 'warning', 'its core is busy to 81.2 %; packets are lost before 100 %', 22]].map(([verb, severity, message, ago], i) => ({
    id: `s${i}`, specversion: '1.0', source: '/nodes/node-1', type: `io.histod.stream.${verb}`, severity, node: 'node-1', subject: 'camera-1',
    time: new Date(at - 1000 * ago).toISOString(), data: { message: `stream camera-1: ${message}` },
  })));
}

test('a core near its quota, silence and failure are seen; events of the stream are told beside it', async () => {
  several();
  await enter();
  const card = (name) => page.getByRole('listitem', { name: `Stream ${name}` });
  await card('studio-b').getByText('Near its quota: 75 % of 80 %').waitFor();
  assert.equal(await card('gate').locator('.chip.warn').innerText(), 'silent');
  await card('broken').getByText('Address already in use').waitFor();
  mock.streams.all.get('studio-b').core.busy = 0.93;
  await card('studio-b').getByText('Over its quota: 93 % of 80 %').waitFor();
  const lately = detail().locator('.incidents li');
  await lately.nth(2).waitFor();
  assert.match((await lately.allInnerTexts()).join('\n'), /4127 packets lost within a second/);
  await card('gate').getByRole('button').click();
  await detail().getByText('No packet comes in any more.').waitFor();
  await card('broken').getByRole('button').click();
  await detail().getByRole('alert').filter({ hasText: broken }).waitFor();
  assert.equal(await page.locator('.plot').count(), 0);
  await card('studio-b').getByRole('button').click();
  await page.waitForFunction(() => document.querySelector('#live-average_frames')?.value === '16');
  assert.deepEqual(trouble, []);
});

test('the events of streams are a kind of their own among all events', async () => {
  several();
  await enter();
  mock.publish([{ source: '/nodes/node-1', type: 'io.histod.cluster.member', severity: 'info', node: 'node-1', data: { message: 'a node of another kind' } }]);
  await page.getByRole('tab', { name: 'Events' }).click();
  const messages = page.locator('.event .event-message');
  await messages.nth(3).waitFor();
  const kinds = page.getByRole('group', { name: 'Kinds' }).getByRole('checkbox');
  assert.match(await page.getByRole('group', { name: 'Kinds' }).innerText(), /Streams\s+3/);
  for (const box of await kinds.all()) await box.setChecked(/Streams/.test(await box.evaluate((one) => one.parentElement.textContent)), { force: true });
  await messages.nth(3).waitFor({ state: 'detached' });
  assert.equal((await messages.allInnerTexts()).filter((text) => text.startsWith('stream camera-1:')).length, 3);
  await page.getByRole('tab', { name: 'Live' }).click();
  await detail().locator('.incidents a').first().click();
  await page.locator('.event-detail', { hasText: 'io.histod.stream.' }).waitFor();
  assert.deepEqual(trouble, []);
});

test('hostile names and texts do nothing', async () => {
  await page.addInitScript(() => { window.pwned = 0; window.pwn = () => window.pwned++; });
  const text = '"><img src=x onerror=pwn()><script>pwn()</script>\u202e';
  mock.streams.add(text, { state: text, config: config({ rule: text, listen: text, targets: [text], sampling: text, interface: text }) });
  mock.streams.add('failed', { error: text, state: 'failed' });
  await enter();
  await page.locator('.live-card').nth(1).waitFor();
  await page.locator('.live-detail .plot .uplot').nth(1).waitFor();
  assert.deepEqual(await page.evaluate(() => [window.pwned, document.querySelectorAll('main script, main [onerror]').length]), [0, 0]);
  await fits();
});

for (const colorScheme of ['light', 'dark']) {
  test(`${colorScheme}: axe finds nothing, and nothing is wider than a narrow window`, async () => {
    await open({ colorScheme, bypassCSP: true });
    const check = async (name) => assert.deepEqual(await axeViolations(page), [], name);
    const both = async (name) => {
      for (const width of [1440, 820, 390]) {
        await page.setViewportSize({ width, height: 860 });
        await fits();
        await shoot(`live-${name}-${colorScheme}-${width}`);
      }
      await check(name);
      await page.setViewportSize({ width: 1280, height: 860 });
    };
    await enter();
    await page.getByRole('heading', { name: 'No streams yet' }).waitFor();
    await both('empty');
    several();
    await page.locator('.live-card').nth(3).waitFor();
    await shown('Out').waitFor();
    await page.locator('.live-detail .plot .uplot').nth(1).waitFor();
    await detail().locator('.incidents li').first().waitFor();
    await both('streams');
    await detail().getByRole('button', { name: 'Remove', exact: true }).click();
    mock.streams.refusal = [403, 'forbidden', 'The token’s role does not allow this', { detail: 'it is for the role admin' }];
    await detail().getByRole('button', { name: 'Remove it' }).click();
    await detail().getByText('it is for the role admin').waitFor();
    await both('removing');
    await page.getByRole('button', { name: 'Add a stream' }).click();
    await page.locator('.live-add').getByRole('button', { name: 'Add' }).click();
    await both('adding');
    await page.locator('.live-add').getByRole('button', { name: 'Cancel' }).click();
    await page.waitForFunction(() => document.activeElement.textContent === 'Add a stream');
    for (const name of ['gate', 'broken', 'next']) {
      if (name === 'next') mock.streams.add(name, { state: 'waiting', core: { cpu: null, busy: 0, quota: 0.8 } });
      await page.getByRole('listitem', { name: `Stream ${name}` }).getByRole('button').click();
      await page.getByRole('region', { name: `Stream ${name}, in detail` }).waitFor();
      await both(name);
    }
    await field('Clip limit').fill('2.5');
    await detail().getByRole('button', { name: 'Apply' }).click();
    await detail().getByRole('alert').waitFor();
    await both('refused');
  });
}
