// SPDX-License-Identifier: Apache-2.0
// The page against a fleet of real nodes, as live_page_test.py starts it: LIVE_FLEET is what tools/fleet printed of it, LIVE_START
// what starts a node again, LIVE_ROOT the source tree, and HISTOCTL the program.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { launch, readToken, signIn, watchForTrouble } from './browser.mjs';

const fleet = JSON.parse(process.env.LIVE_FLEET);
const [node1, node2, node3] = fleet.nodes;
const rollouts = join(process.env.LIVE_ROOT, 'deploy/rollout');
const access = ['--server', node1.url, '--token-file', fleet.token_file];
const token = readToken(fleet.token_file);
let browser;
let scratch;
const contexts = [];

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'histod-live-'));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true, force: true });
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});

const live = (page) => page.locator('.link-chip', { hasText: 'Live' }).waitFor();

// The page of a node, of somebody who has signed in.
async function visit(origin, tab) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce' });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  page.trouble = watchForTrouble(page);
  await signIn(page, token, origin);
  await live(page);
  await go(page, tab);
  return page;
}

async function go(page, tab) {
  await page.evaluate((to) => { location.hash = to; }, tab);
  await page.locator(`#tab-${tab}[aria-selected=true]`).waitFor();
}

async function post(url, messages) {
  const events = messages.map((message) => ({ specversion: '1.0', id: message, source: '/live', type: 'io.histod.rollout.systemd.active', rolloutid: 'live-test', data: { message } }));
  const answer = await fetch(`${url}/v1/events`, {
    method: 'POST', body: JSON.stringify(events), headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/cloudevents-batch+json' },
  });
  assert.equal(answer.status, 202, await answer.text());
}

// The messages in the list of events that have this word, from the list's first row to its last.
async function listed(page, word, least) {
  await page.getByRole('searchbox').first().fill(word);
  const status = page.locator('#panel-events .stream-status');
  await status.filter({ hasText: new RegExp(`^${least} of `) }).waitFor().catch(async () => assert.fail(`${least} events with ${word}: ${await status.innerText()}`));
  const rows = await page.getByRole('listbox').evaluate(async (list) => {
    const seen = new Map();
    for (let top = 0; ; top += list.clientHeight / 2) {
      list.scrollTop = top;
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      for (const row of list.querySelectorAll('.event')) seen.set(row.getAttribute('aria-posinset'), row.querySelector('.event-message').textContent);
      if (top >= list.scrollHeight - list.clientHeight) return [...seen.values()];
    }
  });
  return rows.map((text) => text.replace('[IaC / GitOps] ', '')).sort();
}

// Notes when each message that has the word was first in the list, by the clock that this test has, too.
const watch = (page, word) => page.evaluate((wanted) => {
  window.firstSeen = {};
  new MutationObserver(() => {
    for (const { textContent } of document.querySelectorAll('.event-message')) {
      const message = textContent.slice(textContent.indexOf(wanted));
      if (textContent.includes(wanted)) window.firstSeen[message] ??= Date.now();
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}, word);

function run(command, words, { input = 'ignore', env = {}, status = 0 } = {}) {
  const child = spawn(command, words, { stdio: [input, 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const text = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => text.push(bytes));
  child.on('error', (error) => text.push(Buffer.from(error.message)));
  return new Promise((resolve, reject) => child.on('close', (code) => {
    const said = Buffer.concat(text).toString();
    if (code === status) resolve(said);
    else reject(new Error(`${command} ${words.join(' ')} ended with ${code}, not ${status}:\n${said.slice(-3000)}`));
  }));
}

// Until what is read is what is wanted; the page's own time bounds it.
async function becomes(page, read, wanted) {
  const until = Date.now() + 120_000;
  for (;;) {
    const seen = await read();
    try {
      return assert.deepEqual(seen, wanted);
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

const isThere = (program) => process.env.PATH.split(delimiter).some((folder) => existsSync(join(folder, program)));

function missing(t, program) {
  if (isThere(program)) return false;
  console.log(`skipped: ${program} is not installed`);
  t.skip(`${program} is not installed`);
  return true;
}

test('what is posted to one node is once on the pages of all three', async () => {
  const pages = await Promise.all(fleet.nodes.map(({ url }) => visit(url, 'events')));
  for (const page of pages) await watch(page, 'spread-');
  const posted = [];
  const took = [];
  for (let i = 0; i < 12; i++) {
    const message = `spread-${String(i).padStart(2, '0')}.`;
    const at = Date.now();
    await post(fleet.nodes[i % 3].url, [message]);
    posted.push(message);
    for (const page of pages) took.push(await (await page.waitForFunction((one) => window.firstSeen[one], message)).jsonValue() - at);
  }
  took.sort((a, b) => a - b);
  console.log(`on the pages of all three nodes: median ${took[took.length >> 1]} ms, longest ${took.at(-1)} ms after the post was begun (${took.length} times)`);
  for (const page of pages) {
    assert.deepEqual(await listed(page, 'spread-', posted.length), posted);
    assert.deepEqual(page.trouble, []);
  }
});

test('ZooKeeper stops: SUSPENDED, LOST, and OK when it is back', async () => {
  const page = await visit(node1.url, 'fleet');
  const signal = (name) => fleet.zookeeper.pids.forEach((pid) => process.kill(pid, name));
  const chip = page.locator('header .states .chip');
  const said = (words) => chip.filter({ hasText: new RegExp(`ZooKeeper Connection:.* ${words}$`) }).waitFor();
  const own = page.getByRole('region', { name: 'Node node1' });
  await said('OK');
  const lately = page.getByRole('region', { name: 'Lately' });
  const since = Date.now();
  const times = [];
  const reached = async (words) => {
    await said(words);
    times.push(`${words} after ${((Date.now() - since) / 1000).toFixed(1)} s`);
  };
  signal('SIGSTOP');
  try {
    await reached('WARNING: SUSPENDED');
    await reached('LOST');
    await own.locator('.chip.bad', { hasText: 'ZK LOST' }).waitFor();
    await lately.locator('.tone-bad', { hasText: 'ZooKeeper Connection: LOST' }).first().waitFor();
  } finally {
    signal('SIGCONT');
  }
  await reached('OK');
  console.log(`seen on the page: ${times.join(', ')} (its processes were stopped until LOST was seen; the session lasts 6 s)`);
  await own.locator('.chip.good', { hasText: 'ZK OK' }).waitFor();
  await page.locator('.node-card').nth(2).waitFor();
  await go(page, 'events');
  await page.getByRole('combobox', { name: 'Node' }).selectOption('node1');
  await page.getByRole('searchbox').first().fill('ZooKeeper Connection:');
  const rows = async () => page.locator('.event').evaluateAll((all) => all.map((row) => `${row.className.match(/good|warn|bad/)?.[0]} ${row.querySelector('.event-message').textContent}`));
  const wanted = ['good ZooKeeper Connection: OK', 'bad ZooKeeper Connection: LOST', 'warn ZooKeeper Connection: WARNING: SUSPENDED', 'good ZooKeeper Connection: OK'];
  await becomes(page, async () => (await rows()).slice(0, 4), wanted);
  assert.deepEqual(page.trouble, []);
});

test('a wrong token, and one that asks as a node, are seen with their address', async () => {
  const page = await visit(node3.url, 'events');
  const ask = (path) => run('nsenter', ['-t', String(node2.pid), '-n', 'curl', '-sS', '--noproxy', '*', '-o', join(scratch, 'answer'), '-w', '%{http_code}',
    '-H', `@${join(scratch, 'wrong')}`, `${node1.url}${path}`]);
  writeFileSync(join(scratch, 'wrong'), 'Authorization: Bearer wrong-token-0123456789\n');
  assert.equal(await ask('/v1/node'), '401');
  assert.equal(await ask(`/v1/peer/keys/${'0'.repeat(64)}`), '401');
  const address = new URL(node2.url).hostname;
  await page.locator('.event', { hasText: 'a token was refused' }).first().click();
  const facts = page.locator('.event-detail .facts');
  await facts.filter({ hasText: 'io.histod.secops.token_refused' }).waitFor();
  assert.match(await facts.innerText(), new RegExp(`Node\\s+node1[\\s\\S]*Subject\\s+${address.replaceAll('.', '\\.')}`));
  await go(page, 'fleet');
  const lately = page.getByRole('region', { name: 'Lately' });
  await lately.locator('.tone-bad', { hasText: /blocked intrusion/i }).filter({ hasText: address }).waitFor();
  await lately.locator('.tone-warn', { hasText: 'a token was refused' }).filter({ hasText: address }).first().waitFor();
  assert.ok(!(await page.locator('body').innerHTML()).includes('wrong-token-0123456789'));
  assert.deepEqual(page.trouble, []);
});

async function terraform() {
  const folder = join(scratch, 'terraform');
  cpSync(join(rollouts, 'examples/terraform'), folder, { recursive: true });
  const env = { CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' };
  // A configuration that is not there would only be warned of.
  if (process.env.TF_CLI_CONFIG_FILE && !existsSync(process.env.TF_CLI_CONFIG_FILE)) env.TF_CLI_CONFIG_FILE = '';
  await run('terraform', [`-chdir=${folder}`, 'init', '-input=false', '-no-color'], { env });
  await run('sh', ['-c', '"$@" | "$HISTOCTL" events send --source terraform --rollout from-tools --server "$SERVER" --token-file "$TOKENS"', 'sh',
    'terraform', `-chdir=${folder}`, 'apply', '-json', '-auto-approve', '-input=false'], { env: { ...env, SERVER: node1.url, TOKENS: fleet.token_file } });
}

function ansible() {
  writeFileSync(join(scratch, 'ansible.cfg'), '');
  const env = {
    ANSIBLE_CALLBACK_PLUGINS: join(rollouts, '../ansible/callback_plugins'), ANSIBLE_CALLBACKS_ENABLED: 'histod_events', ANSIBLE_CONFIG: join(scratch, 'ansible.cfg'),
    ANSIBLE_LOCAL_TEMP: join(scratch, 'local'), ANSIBLE_REMOTE_TEMP: join(scratch, 'remote'), HISTOD_EVENTS_URL: node2.url,
    HISTOD_EVENTS_TOKEN_FILE: fleet.token_file, HISTOD_EVENTS_ROLLOUT: 'from-tools', PYTHONDONTWRITEBYTECODE: '1',
  };
  return run('ansible-playbook', ['-c', 'local', '-i', join(rollouts, 'examples/ansible/hosts.yml'), '-e', `work=${join(scratch, 'nodes')}`,
    join(rollouts, 'examples/ansible/site.yml')], { env });
}

const lane = (page, title) => page.getByRole('region', { name: title, exact: true });

test('a rollout by the real Terraform is in its lane, a failure with its reason', async (t) => {
  if (missing(t, 'terraform')) return;
  const page = await visit(node3.url, 'rollout');
  const told = terraform();
  const hardware = lane(page, 'Hardware');
  for (const name of ['histo-01', 'histo-02', 'histo-03']) await hardware.locator('.resource.succeeded', { hasText: `terraform_data.node["${name}"]` }).waitFor();
  const failed = hardware.locator('.resource.failed', { hasText: 'terraform_data.spare' });
  await failed.locator('.resource-error', { hasText: 'exit status 3' }).waitFor();
  await told;
  await page.locator('.run-summary .chip.bad', { hasText: 'Failed' }).waitFor();
  assert.equal(await page.locator('.run-summary .replay').count(), 0);
  assert.ok(!(await page.locator('body').innerHTML()).includes('abcdef.0123456789abcdef'), 'no secret');
  assert.deepEqual(page.trouble, []);
});

test('a playbook of the real Ansible is in the lanes, a task as the worst of its hosts', async (t) => {
  if (missing(t, 'ansible-playbook')) return;
  const page = await visit(node1.url, 'rollout');
  let ended = false;
  const told = ansible().finally(() => { ended = true; });
  await page.getByRole('combobox', { name: 'Rollout' }).selectOption('from-tools');
  await lane(page, 'Operating system').locator('.resource').first().waitFor();
  console.log(`the playbook's first line is on the page ${ended ? 'after its end' : 'while it runs'}`);
  await lane(page, 'Operating system').locator('.resource.changed', { hasText: 'Write the sysctl settings' }).first().waitFor();
  await told;
  const ignored = lane(page, 'Kubernetes').locator('.resource.ignored', { hasText: 'Look for the spare disk' });
  await ignored.locator('.resource-error', { hasText: /(histo-0\d(, )?){3}: .*exit status 1/ }).waitFor();
  await page.waitForFunction(() => !document.querySelector('.resource.running'));
  for (const title of ['Operating system', 'Kubernetes', 'Workload']) await lane(page, title).locator('.resource').first().waitFor();
  await page.locator('.resource', { hasText: 'Load the kernel modules' }).first().waitFor();
  assert.ok(!(await page.locator('body').innerHTML()).includes('abcdef.0123456789abcdef'), 'no secret');
  assert.deepEqual(page.trouble, []);
});

test('a recorded rollout is told again, and marked so', async () => {
  const page = await visit(node2.url, 'rollout');
  await run(process.env.HISTOCTL, ['events', 'replay', join(rollouts, 'recorded.jsonl'), '--speed', '50', '--rollout', 'told-again', ...access]);
  await page.getByRole('combobox', { name: 'Rollout' }).selectOption('told-again');
  await page.locator('.run-summary .replay').waitFor();
  await lane(page, 'Hardware').locator('.resource.succeeded', { hasText: 'latitudesh_server.node["histo-03"]' }).waitFor();
  await becomes(page, () => page.getByRole('combobox', { name: 'Rollout' }).locator('option', { hasText: 'told-again' }).innerText(), 'told-again · Done · replay');
  await go(page, 'events');
  const lines = readFileSync(join(rollouts, 'recorded.jsonl'), 'utf8').trim().split('\n').length;
  assert.equal((await listed(page, 'told-again', lines)).filter((text) => text.startsWith('replay')).length, lines, 'each says so');
  assert.deepEqual(page.trouble, []);
});

// A way to a node that can be cut.
class Way {
  sockets = new Set();
  open = true;

  constructor(to) {
    const { hostname, port } = new URL(to);
    this.server = createServer((near) => {
      if (!this.open) return near.destroy();
      const far = connect(Number(port), hostname);
      for (const [one, other] of [[near, far], [far, near]]) {
        this.sockets.add(one);
        one.on('error', () => other.destroy()).on('close', () => this.sockets.delete(one) && other.destroy()).pipe(other);
      }
    });
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  cut() {
    this.open = false;
    for (const socket of this.sockets) socket.destroy();
  }
}

const numbered = (word, count) => Array.from({ length: count }, (_, i) => `${word}${String(i).padStart(3, '0')}.`);
const broken = (page) => page.locator('.link-chip', { hasText: /Offline|Connecting/ }).waitFor();

test('a connection that is cut again and again loses nothing and doubles nothing', async () => {
  const way = new Way(node1.url);
  const page = await visit(await way.listen(), 'events');
  const told = [];
  const tell = async (url, word) => {
    const messages = numbered(word, 40);
    told.push(...messages);
    await post(url, messages);
  };
  for (let round = 0; round < 3; round++) {
    await tell(node1.url, `cut-${round}-before-`);
    way.cut();
    await broken(page);
    await tell(node1.url, `cut-${round}-here-`);
    await tell(node2.url, `cut-${round}-there-`);
    way.open = true;
    await live(page);
  }
  assert.deepEqual(await listed(page, 'cut-', told.length), told.sort());
  way.cut();
  way.server.close();
});

test('a node that is killed and started again goes on where it was', async () => {
  const page = await visit(node2.url, 'events');
  const told = [...numbered('killed-before-', 60), ...numbered('killed-meanwhile-', 60), ...numbered('killed-again-', 60)];
  await post(node2.url, told.slice(0, 60));
  await page.locator('.event-message', { hasText: 'killed-before-059.' }).waitFor();
  process.kill(node2.pid, 'SIGKILL');
  await broken(page);
  await post(node3.url, told.slice(60, 120));
  const [program, ...words] = process.env.LIVE_START.split(' ');
  await run(program, [...words, 'node2']);
  await live(page);
  await post(node2.url, told.slice(120));
  assert.deepEqual(await listed(page, 'killed-', told.length), told.sort());
});
