// SPDX-License-Identifier: Apache-2.0
// A stand-in for a node of a fleet: serves the built page and the API that the page reads, so that a test can say what
// happens.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { WebSocketServer } from 'ws';
import { equalizeAnswer, histogramAnswer } from './naive.mjs';
import * as story from './story.mjs';

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png' };
const perMessage = 100;

export class Mock {
  token = randomBytes(16).toString('hex');
  identity = story.identity;
  events = [];
  sequence = 0;
  seen = new Set();
  tickets = new Set();
  ticketsGiven = 0;
  refuseSockets = false;  // the upgrade is answered with 502, as by a proxy that knows no WebSocket
  cluster = story.cluster();
  jobs = story.jobs();
  datasets = story.datasets();
  started = Date.now();
  submitted = [];
  streams = null;  // of streams.mjs; null: a daemon that knows none

  constructor({ www }) {
    this.www = www;
    this.sockets = new WebSocketServer({ noServer: true, maxPayload: 4096, handleProtocols: () => 'histod.events' });
    this.server = createServer((request, response) => this.answer(request, response));
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.origin = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  async close() {
    this.drop();
    this.server.closeAllConnections?.();
    await new Promise((resolve) => this.server.close(resolve));
  }

  // Ends every socket without a goodbye.
  drop() {
    for (const client of this.sockets.clients) client.terminate();
  }

  publish(events) {
    const stored = events.map((event) => ({ id: `e-${++this.sequence}`, ...event, sequence: String(this.sequence) }))
      .filter(({ source, id }) => !this.seen.has(`${source}\n${id}`) && this.seen.add(`${source}\n${id}`));
    this.events.push(...stored);
    if (this.events.length > 8192) this.events.splice(0, this.events.length - 8192);
    for (const client of this.sockets.clients) this.tell(client, stored);
    return stored;
  }

  tell(client, events) {
    for (let at = 0; at < events.length; at += perMessage) client.send(JSON.stringify(events.slice(at, at + perMessage)));
  }

  after(query) {
    const limit = Number(query.get('limit') ?? 200);
    if (!query.has('after')) return this.events.slice(-limit);
    return this.events.filter(({ sequence }) => Number(sequence) > Number(query.get('after')));
  }

  upgrade(request, socket, head) {
    const { searchParams: query } = new URL(request.url, this.origin);
    const ticket = (request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/).find((one) => one.startsWith('ticket.'))?.slice(7);
    const status = this.refuseSockets ? '502 Bad Gateway' : request.headers.origin !== this.origin ? '403 Forbidden' : this.tickets.delete(ticket) ? '' : '401 Unauthorized';
    if (status) return socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    this.sockets.handleUpgrade(request, socket, head, (client) => {
      const resumed = query.get('identity') === this.identity;
      if (!resumed) query.delete('after');
      client.send(JSON.stringify({ hello: { identity: this.identity, node: 'node-1', last: this.sequence, missed: 0 } }));
      this.tell(client, this.after(query));
    });
  }

  json(response, status, value) {
    response.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', 'Cache-Control': 'no-store' });
    response.end(JSON.stringify(value));
  }

  problem(response, status, code, title, detail) {
    this.json(response, status, { type: `urn:histod:problem:${code}`, title, status, detail });
  }

  async answer(request, response) {
    const url = new URL(request.url, this.origin);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (url.pathname === '/readyz') return this.json(response, 200, { ready: true, draining: false });
    if (!url.pathname.startsWith('/v1/')) return this.file(url.pathname, response);
    if (request.headers.authorization !== `Bearer ${this.token}`) return this.problem(response, 401, 'unauthorized', 'The token was not accepted', '');
    if (this.streams?.answer(this, request, response, url, body)) return;
    const own = this.routes[`${request.method} ${url.pathname.replace(/\/01[0-9A-Z]{24}/, '/ID')}`];
    if (own) return own.call(this, response, url, body);
    this.problem(response, 404, 'not-found', 'There is nothing at this path', url.pathname);
  }

  routes = {
    'GET /v1/node': (response) => this.json(response, 200, story.node(this.now())),
    'GET /v1/nodes': (response) => this.json(response, 200, story.nodes(this.now())),
    'GET /v1/cluster': (response) => this.json(response, 200, this.cluster),
    'GET /v1/jobs': (response) => this.json(response, 200, { jobs: this.jobs }),
    'POST /v1/jobs': (response, url, body) => {
      const job = { id: `01KAJ${String(900000 + this.submitted.length)}V4T8XW5R6Y9ZB1C`.slice(0, 26), state: 'queued', node: 'node-1', created_at: new Date().toISOString(), started_at: null, finished_at: null, attempts: 0, input: { bytes: body.length } };
      this.submitted.push(url.search);
      this.jobs.unshift(job);
      this.json(response, 202, job);
    },
    'DELETE /v1/jobs/ID': (response, url) => {
      this.jobs = this.jobs.filter(({ id }) => id !== url.pathname.split('/').pop());
      response.writeHead(204).end();
    },
    'GET /v1/jobs/ID/result': (response) => response.writeHead(200, { 'Content-Type': 'image/tiff' }).end(Buffer.from('II*\0result')),
    'GET /v1/datasets': (response) => this.json(response, 200, { datasets: this.datasets }),
    'POST /v1/tickets': (response) => {
      const ticket = randomBytes(32).toString('base64url');
      this.tickets.add(ticket);
      this.ticketsGiven++;
      this.json(response, 201, { ticket, expires_in_s: 30 });
    },
    'GET /v1/events': (response, url) => {
      const limit = Math.min(1000, Number(url.searchParams.get('limit') ?? 200));
      this.json(response, 200, { events: this.after(url.searchParams).slice(0, limit), last: this.sequence, identity: this.identity });
    },
    'POST /v1/equalize': (response, url, body) => this.image(response, body, equalizeAnswer),
    'POST /v1/histogram': (response, url, body) => this.image(response, body, histogramAnswer),
  };

  now() {
    return Math.floor((Date.now() - this.started) / 2000);
  }

  image(response, body, naive) {
    const answer = naive(body);
    if (!answer) return this.problem(response, 415, 'unknown-format', 'This is not an image format that histod reads', 'the first bytes are those of no format that is known here');
    response.writeHead(200, answer.headers).end(answer.body);
  }

  file(path, response) {
    const file = join(this.www, path === '/' ? 'index.html' : path.replaceAll('..', ''));
    if (!existsSync(file)) return this.problem(response, 404, 'not-found', 'There is nothing at this path', path);
    response.writeHead(200, { 'Content-Type': types[extname(file)], 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' });
    response.end(readFileSync(file));
  }
}

// A fleet with a past: a rollout, incidents, logs.
export function tellPast(mock) {
  const now = Date.now();
  const past = [...story.rollout(now - 402_000, 'rollout-2026-11-22.3'), ...story.incidents(now - 170_000),
    ...Array.from({ length: 640 }, (_, i) => story.logLine(i, now - 240_000 + i * 375))];
  mock.publish(story.rollout(now - 9.2e6, 'rollout-2026-11-22.2', { replay: true }));
  mock.publish(past.sort((a, b) => (a.time < b.time ? -1 : 1)));
}
