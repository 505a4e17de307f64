// SPDX-License-Identifier: Apache-2.0
// Each view of the page in a real browser, against the stand-in: HISTOD_WWW=DIST/www node --test page/panels.test.mjs
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { axeViolations, launch, watchForTrouble } from './browser.mjs';
import { Mock, tellPast } from './mock.mjs';
import { dimGray, naiveEqualize } from './naive.mjs';
import { decodePng, encodePng } from './png.mjs';
import * as story from './story.mjs';

let browser;
let context;
let page;
let mock;
let trouble;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });
beforeEach(async () => {
  mock = await new Mock({ www: process.env.HISTOD_WWW }).listen();
  await open();
});
afterEach(async () => {
  await context?.close();
  await mock.close();
});

async function open(options = {}) {
  await context?.close();
  context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce', ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: mock.origin });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  trouble = watchForTrouble(page);
}

async function enter(hash = '') {
  await page.goto(mock.origin + '/');
  await page.getByLabel('Access token').fill(mock.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('tablist').waitFor();
  if (hash) await go(hash);
}

const go = (hash) => page.evaluate((to) => { location.hash = to; }, hash);
const live = () => page.locator('.link-chip', { hasText: 'Live' }).waitFor();
const said = (id, data, more = {}) => ({ id, specversion: '1.0', source: '/test', type: 'io.histod.log.info', severity: 'info', node: 'node-1', time: new Date().toISOString(), data, ...more });
const messages = () => page.locator('.event-message').allInnerTexts();
const seen = (text) => page.locator('.event-message', { hasText: text }).first().waitFor();
const files = (...names) => names.map((name) => ({ name, mimeType: 'image/png', buffer: encodePng(dimGray(60 + name.length, 40)) }));
const drop = (list) => page.locator('input[type=file]').setInputFiles(list);
const fits = async () => {
  const wide = await page.evaluate(() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    return [...document.querySelectorAll('main *')].filter((element) => element.getBoundingClientRect().right > innerWidth).slice(0, 8)
      .map((element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`);
  });
  assert.deepEqual(wide, [], page.url());
};

test('many files go through, each with its progress, and their pixels are right', async () => {
  await enter();
  await drop(files('a.png', 'bcd.png', 'efghi.png'));
  await page.locator('.files small', { hasText: '3 of 3 done' }).waitFor();
  assert.equal(await page.locator('.file-bar-line.stages').count(), 3, 'the server’s stages of each');
  const [event] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save the result of efghi.png' }).click()]);
  assert.equal(event.suggestedFilename(), 'efghi_equalized.png');
  const image = dimGray(69, 40);
  assert.ok(decodePng(readFileSync(await event.path())).pixels.equals(naiveEqualize(image.pixels)), 'pixel for pixel');
  await page.getByRole('button', { name: /^bcd\.png/ }).click();
  await page.locator('.frame img.after').waitFor();
  await page.locator('.plot .uplot').nth(2).waitFor();
  await page.getByLabel('Exact', { exact: true }).check({ force: true });
  await page.getByRole('button', { name: 'Run 2 again' }).click();
  await page.getByRole('button', { name: 'All up to date' }).waitFor();
  assert.deepEqual(trouble, []);
});

test('zoom magnifies around the pointer, by buttons and keys, and goes back', async () => {
  await enter();
  await drop(files('a.png'));
  await page.locator('.frame img.before').waitFor();
  const scale = () => page.locator('.frame img.after').evaluate((image) => new DOMMatrix(getComputedStyle(image).transform).a);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  assert.equal(await scale(), 2);
  await page.keyboard.press('+');
  assert.equal(await scale(), 4);
  await page.getByRole('button', { name: /show all of it/ }).click();
  assert.equal(await scale(), 1);
});

test('a file as a stored job: it is in the list, and can be cancelled', async () => {
  mock.jobs = [];
  await enter();
  await page.getByLabel('As stored jobs').check({ force: true });
  await page.getByRole('radio', { name: 'Fleet' }).check({ force: true });
  await drop(files('kept.png'));
  await page.locator('.note', { hasText: 'Stored as job' }).waitFor();
  assert.match(mock.submitted[0], /placement=fleet/);
  await page.locator('.job').first().waitFor();
  await page.getByRole('button', { name: /^Cancel / }).click();
  await page.getByText('No stored jobs').waitFor();
  assert.deepEqual(trouble, []);
});

test('events arrive live, are searched, held still, and have links that lead back', async () => {
  await enter('events');
  await live();
  mock.publish([said('one', { message: 'the first light' }), said('two', { message: 'Terraform is done' }, { type: 'io.histod.rollout.terraform.completed' })]);
  await seen('the first light');
  assert.match((await messages())[0], /^\[IaC \/ GitOps\] Terraform is done/);
  await page.getByRole('searchbox').fill('LIGHT first');
  await page.locator('.event').nth(1).waitFor({ state: 'detached' });
  assert.match((await messages())[0], /the first light/);
  await page.locator('.event').click();
  await page.getByRole('button', { name: 'Copy link' }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, `${mock.origin}/#events/1@${mock.identity}`);
  assert.equal(page.url(), link);
  await page.getByRole('searchbox').fill('');
  await page.getByRole('button', { name: 'Pause' }).click();
  mock.publish([said('three', { message: 'while it is held' })]);
  await page.locator('.stream-status', { hasText: 'held still, 1 new' }).waitFor();
  assert.equal((await messages()).some((text) => text.includes('while it is held')), false);
  await page.getByRole('button', { name: 'Go on' }).click();
  await seen('while it is held');
  await page.reload();
  await page.locator('.event-whole', { hasText: 'the first light' }).waitFor();
  await go(`events/1@somebody-else`);
  await page.getByText('belongs to the node with the identity somebody-else').waitFor();
  await go(`events/999@${mock.identity}`);
  await page.getByText('does not keep this event any more').waitFor();
  assert.deepEqual(trouble, []);
});

test('after a break nothing is lost and nothing is doubled', async () => {
  await enter('events');
  await live();
  const numbers = (from, count) => Array.from({ length: count }, (_, i) => said(`n${from + i}`, { message: `number ${from + i}.` }));
  for (let round = 0; round < 4; round++) {
    mock.publish(numbers(100 * round, 50));
    mock.drop();
    mock.publish(numbers(100 * round + 50, 50));
    await live();
    await seen(`number ${100 * round + 99}.`);
  }
  await page.locator('.stream-status', { hasText: /^400 of 400 events$/ }).waitFor();
  assert.equal(mock.ticketsGiven, 5, 'a ticket for each socket');
});

test('where no socket can be opened it asks for the list, and says so', async () => {
  mock.refuseSockets = true;
  await enter('events');
  await page.locator('.link-chip', { hasText: 'Polling' }).waitFor();
  mock.publish([said('polled', { message: 'came by the list' })]);
  await seen('came by the list');
  mock.refuseSockets = false;
  await page.locator('.link-chip').click();
  await live();
  await page.locator('.stream-status', { hasText: /^1 of 1 events$/ }).waitFor();
});

test('a feed that is refused says why, and what to do', async () => {
  mock.routes['POST /v1/tickets'] = (response) => mock.problem(response, 403, 'forbidden', 'The token is not allowed to do this', 'role submit');
  mock.routes['GET /v1/events'] = mock.routes['POST /v1/tickets'];
  for (const tab of ['events', 'rollout']) {
    await (tab === 'events' ? enter(tab) : go(tab));
    await page.locator(`#panel-${tab} .empty`, { hasText: 'sign in with one of the role read' }).waitFor();
  }
});

test('at 200 events a second the list stays short and the page answers', async () => {
  await enter('events');
  await live();
  let i = 0;
  const timer = setInterval(() => mock.publish(Array.from({ length: 20 }, () => story.logLine(i++, Date.now()))), 100);
  try {
    await page.waitForFunction(() => /^[\d,]+ of ([\d,]+) events/.exec(document.querySelector('.stream-status').textContent)?.[1].replace(',', '') > 500);
    assert.ok(await page.locator('.event').count() <= 120);
    await page.getByRole('searchbox').fill('checksum');
    await page.locator('.event.bad').first().waitFor();
    assert.ok((await messages()).every((text) => text.includes('checksum')));
    await go('logs');
    await page.locator('.terminal .virtual-row').first().waitFor();
    assert.ok(await page.locator('.terminal .virtual-row').count() <= 360);
    await go('work');
    await drop(files('busy.png'));
    await page.locator('.actions a[download]').waitFor();
  } finally {
    clearInterval(timer);
  }
  mock.publish(Array.from({ length: 6000 }, () => story.logLine(i++, Date.now())));
  await go('events');
  await page.getByRole('searchbox').fill('');
  await page.locator('.stream-status', { hasText: 'of 5,000 events' }).waitFor();
  assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 4000);
  assert.deepEqual(trouble, []);
});

test('a list that is scrolled stays where it is while events come', async () => {
  await enter('events');
  await live();
  mock.publish(Array.from({ length: 300 }, (_, i) => said(`s${i}`, { message: `row ${i}.` })));
  await seen('row 299.');
  const list = page.getByRole('listbox');
  await list.evaluate((element) => { element.scrollTop = 3000; });
  await page.waitForFunction(() => !document.querySelector('.virtual').textContent.includes('row 299.'));
  const top = () => list.evaluate((element) => {
    const box = element.getBoundingClientRect();
    return document.elementFromPoint(box.left + 300, box.top + 20).closest('.event').textContent;
  });
  const row = await top();
  mock.publish(Array.from({ length: 40 }, (_, i) => said(`t${i}`, { message: `later ${i}.` })));
  await page.locator('.stream-status', { hasText: '340 of 340' }).waitFor();
  assert.equal(await top(), row);
});

test('a terminal shows its newest line, also when the view comes back', async () => {
  mock.publish(Array.from({ length: 200 }, (_, i) => said(`l${i}`, { message: `line ${i}.`, fields: { worker: i } })));
  await enter('logs');
  const newest = page.getByRole('region', { name: 'Log of node-1' }).locator('.virtual-row', { hasText: 'line 199. worker=199' });
  await newest.waitFor();
  await go('fleet');
  await newest.waitFor({ state: 'hidden' });
  await go('logs');
  await newest.waitFor();
  await page.getByRole('searchbox').fill('line 173.');
  await page.getByText('1 line', { exact: true }).waitFor();
  assert.deepEqual(trouble, []);
});

test('a rollout: lanes, states, a failure with its message, looking back, a replay', async () => {
  mock.publish([...story.rollout(Date.now() - 402_000, 'live-run'), ...story.rollout(Date.now() - 9e6, 'old-run', { replay: true })]);
  await enter('rollout');
  await page.locator('.lane').first().waitFor();
  assert.equal(await page.locator('.lane').count(), 5);
  assert.match(await page.locator('.run-summary').innerText(), /Failing\s+live[\s\S]*1 failed · 2 running · 18 succeeded · 4 changed · 1 skipped/);
  assert.match(await page.locator('.resource-error').innerText(), /ErrImagePull: .*manifest unknown/);
  await page.getByLabel('Look back').fill('100');
  await page.locator('.resource.failed').waitFor({ state: 'detached' });
  assert.match(await page.locator('.run-summary').innerText(), /Running\s+looked back/);
  await page.getByRole('button', { name: 'Now' }).click();
  await page.locator('.resource.failed').waitFor();
  await page.getByRole('combobox', { name: 'Rollout' }).selectOption('old-run');
  await page.locator('.run-summary .replay').waitFor();
  assert.deepEqual(trouble, []);
});

test('the fleet: cards, the leader, ZooKeeper in the original’s words and colours, the alert', async () => {
  mock.publish(story.incidents(Date.now() - 170_000));
  await enter('fleet');
  await page.locator('.node-card').nth(2).waitFor();
  assert.deepEqual(await page.locator('.node-card h3').allInnerTexts(), ['node-1', 'node-2', 'node-3']);
  assert.equal(await page.locator('.node-card.leads h3').innerText(), 'node-2');
  const card = (i) => page.locator('.node-card').nth(i);
  for (const i of [0, 1]) await card(i).getByText('Images/s').waitFor();
  assert.deepEqual(await Promise.all([0, 1, 2].map((i) => card(i).locator('.cpu').count())), [16, 16, 0]);
  await card(2).getByText('It does not say what it does').waitFor();
  const chip = page.locator('.states .chip').first();
  const state = async (name, words, kind) => {
    mock.cluster.zookeeper.state = name;
    await page.locator(`.states .chip.${kind}`, { hasText: new RegExp(`ZooKeeper Connection:.* ${words}$`) }).waitFor();
    return chip.evaluate((element) => getComputedStyle(element).color.match(/\d+/g).map(Number));
  };
  const [red, amber, green] = [await state('LOST', 'LOST', 'bad'), await state('SUSPENDED', 'WARNING: SUSPENDED', 'warn'), await state('CONNECTED', 'OK', 'good')];
  assert.ok(red[0] > 2 * red[1] && green[1] > 2 * green[0] && amber[0] > amber[1] && amber[1] > 2 * amber[2], `${red} ${amber} ${green}`);
  await page.locator('.incidents .tone-bad', { hasText: 'was elected leader' }).waitFor();
  await page.locator('.incidents .tone-bad', { hasText: 'Blocked intrusion' }).waitFor();
  Object.assign(mock.cluster, { alert: true, alert_detail: '2 of at least 3 nodes are there' });
  await page.getByRole('alert').filter({ hasText: 'Cluster alert2 of at least 3' }).waitFor();
  assert.deepEqual(trouble, []);
});

const hostile = ['<img src=x onerror=pwn()>', '<script>pwn()</script>', '"><svg onload=pwn()>', "';pwn();//", '<iframe srcdoc="<script>parent.pwn()</script>">',
  'javascript:pwn()', '{{constructor.constructor("pwn()")()}}', '${pwn()}', '</title><script>pwn()</script>', '<style>*{display:none}</style>', '<base href=//evil>',
  '<a href=javascript:pwn()>x</a>', '<math><mtext></mtext><script>pwn()</script>', '&lt;script&gt;pwn()&lt;/script&gt;', '<details open ontoggle=pwn()>', '<body onload=pwn()>',
  '\u202e<gnp.exe', '\u0000<b>nul</b>', '__proto__', 'constructor', '<input autofocus onfocus=pwn()>', '<video><source onerror=pwn()>', '<form><button formaction=javascript:pwn()>', ']]><script>pwn()</script>',
  '<!--<script>pwn()//-->', '<object data=javascript:pwn()>', '<embed src=javascript:pwn()>', '<link rel=stylesheet href=//evil>', '<meta http-equiv=refresh content=0>', '<template><script>pwn()</script>',
  '\r\nSet-Cookie: x=1', '<xmp><script>pwn()</script>', '<marquee onstart=pwn()>', '<table background=javascript:pwn()>', 'data:text/html,<script>pwn()</script>', '<svg><a xlink:href="javascript:pwn()">',
  '<p style="position:fixed;inset:0">', '\ud800', '%3Cscript%3Epwn()%3C/script%3E', 'x'.repeat(3000)];

test('40 hostile strings in file names, events and log lines do nothing', async () => {
  assert.equal(hostile.length, 40);
  await page.addInitScript(() => { window.pwned = 0; window.pwn = () => window.pwned++; });
  const parts = (text) => ({ message: text, resource: text, error: text, tool: text, status: 'failed', layer: text, fields: { [text.slice(0, 40)]: text } });
  mock.publish(hostile.flatMap((text, i) => [
    said(`${i}${text}`, parts(text), { node: text.slice(0, 60), subject: text, source: text, severity: text, sequence: text }),
    said(`r${i}`, parts(text), { type: 'io.histod.rollout.x.y', rolloutid: i % 2 ? text : 'r', node: text }), said(`t${i}`, parts(text), { type: text }),
    said(`z${i}`, parts(text), { type: 'io.histod.cluster.alert', severity: 'error', node: text }),
  ]));
  mock.jobs = hostile.map((text, i) => ({ id: `01KAJ${i}${text}`, state: text, node: text, input: { filename: text }, error: { detail: text } }));
  mock.datasets = hostile.map((text, i) => ({ id: String(i), name: text, nodes: [{ name: text, reachable: true, images: { total: 1 } }], progress: { phase: text } }));
  mock.cluster = { ...story.cluster(), members: hostile.map((text) => ({ name: text, url: text, version: text, self: false })), alert: true, alert_detail: hostile[0], intruders: hostile };
  await enter();
  await drop(hostile.map((text, i) => ({ name: `${i}${text.replace(/[\u0000/]/g, '').slice(0, 200)}.png`, mimeType: 'image/png', buffer: encodePng(dimGray(8, 8)) })));
  await page.locator('.files small', { hasText: '40 of 40 done' }).waitFor();
  for (const tab of ['fleet', 'rollout', 'logs', 'events', 'work']) {
    await go(tab);
    await page.locator(`#panel-${tab} section, #panel-${tab} .stream-list`).first().waitFor();
    await fits();
  }
  await go('events');
  for (const event of await page.locator('.event').all()) await event.click({ force: true });
  const strange = await page.evaluate(() => [window.pwned, document.querySelectorAll('main script, main iframe, main object, main embed, main base, main style, main [onerror], main [onload], a[href^="javascript"]').length]);
  assert.deepEqual(strange, [0, 0]);
  assert.equal(await page.title(), 'histod');
  assert.deepEqual(trouble, []);
});

const tabs = ['work', 'fleet', 'rollout', 'events', 'logs'];

async function ready(tab) {
  await go(tab);
  await page.locator({ work: '.dataset', fleet: '.cpu', rollout: '.lane', events: '.event', logs: '.terminal .virtual-row' }[tab]).first().waitFor();
}

for (const colorScheme of ['light', 'dark']) {
  test(`${colorScheme}: axe finds nothing in any view, empty or not`, async () => {
    await open({ colorScheme, bypassCSP: true });
    const check = async (name) => assert.deepEqual(await axeViolations(page), [], name);
    await page.goto(mock.origin + '/');
    await page.getByLabel('Access token').waitFor();
    await check('sign in');
    await enter();
    await live();
    for (const tab of colorScheme === 'light' ? tabs : []) {
      await go(tab);
      await page.locator(`#panel-${tab} h2`).first().waitFor({ state: 'attached' });
      await check(`${tab}, empty`);
    }
    tellPast(mock);
    Object.assign(mock.cluster, { alert: true, alert_detail: '2 of at least 3 nodes are there' });
    await ready('events');
    await page.locator('.event').nth(3).click();
    await ready('work');
    await drop([...files('a.png', 'b.png'), { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('words') }]);
    await page.locator('.files small', { hasText: '2 of 3 done' }).waitFor();
    await page.locator('.cluster-alert').waitFor();
    for (const tab of tabs) {
      await ready(tab);
      await check(tab);
    }
  });
}

test('at 390 pixels nothing is wider than the window', async () => {
  tellPast(mock);
  await open({ viewport: { width: 390, height: 844 } });
  await enter();
  await drop(files('a-name-that-is-much-longer-than-a-telephone-is-wide-and-has-no-space-in-it.png', 'b.png'));
  await page.locator('.files small', { hasText: '2 of 2 done' }).waitFor();
  for (const tab of tabs) {
    await ready(tab);
    await fits();
  }
  assert.deepEqual(trouble, []);
});

test('all of it can be done with the keyboard', async () => {
  page.on('filechooser', () => {});  // from here on choosers are ours, and not the system's
  tellPast(mock);
  await enter();
  await page.getByRole('tab', { name: 'Work' }).focus();
  for (const tab of ['fleet', 'rollout', 'events']) {
    await page.keyboard.press('ArrowRight');
    await page.locator(`#tab-${tab}[aria-selected=true]:focus`).waitFor();
  }
  await page.locator('.event').first().waitFor();
  const focusOn = async (selector) => {
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    }
    assert.fail(`${selector} is not reached by Tab`);
  };
  await focusOn('[role=listbox]');
  const outline = await page.getByRole('listbox').evaluate((element) => getComputedStyle(element).outlineStyle);
  assert.notEqual(outline, 'none', 'focus is seen');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.locator('.event[aria-selected=true][aria-posinset="2"]').waitFor();
  await page.keyboard.press('End');
  await page.locator(`.event[aria-selected=true][aria-setsize="${mock.events.length}"]`).waitFor();
  await focusOn('.detail-actions button');
  await page.keyboard.press('Enter');
  await page.getByText('Copied').first().waitFor();
  await page.getByRole('tab', { name: 'Events' }).focus();
  await page.keyboard.press('Home');
  await page.locator('#tab-work[aria-selected=true]').waitFor();
  await focusOn('.drop-zone .primary');
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Enter')]);
  await chooser.setFiles(files('keys.png'));
  await page.locator('.actions a[download]').waitFor();
  await focusOn('[role=slider]');
  await page.keyboard.press('End');
  assert.equal(await page.getByRole('slider', { name: 'Line between before and after' }).getAttribute('aria-valuenow'), '100');
  assert.deepEqual(trouble, []);
});

test('a token that is taken back ends the session, and nothing is kept', async () => {
  await enter('events');
  await live();
  mock.token = 'another';
  mock.drop();
  await page.getByText('no longer accepts this token').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length + document.cookie.length), 0);
});
