// SPDX-License-Identifier: Apache-2.0
// A stand-in for the live streams of a node: answers /v1/streams as the API describes it, with pictures that a browser made.
import { createHash } from 'node:crypto';

const changeable = ['rule', 'window', 'clip_limit', 'scene_cut', 'targets', 'preview'];

// In Chromium: a dim scene with a moving light, its equalized twin by the rule "opencv", its histogram and table. JPEG by the browser's own encoder.
function drawFrames(count) {
  const [width, height, levels] = [640, 360, 256];
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const jpeg = () => canvas.toDataURL('image/jpeg', 0.85).split(',')[1];
  const luma = (data, i) => Math.round(0.2126 * data[i] + 0.7152 * data[i + 1] + 0.0722 * data[i + 2]);
  const scene = (i) => {
    const sky = context.createLinearGradient(0, 0, 0, height);
    [[0, '#6d7378'], [0.6, '#8d8f90'], [1, '#747270']].forEach(([at, color]) => sky.addColorStop(at, color));
    context.fillStyle = sky;
    context.fillRect(0, 0, width, height);
    for (let hill = 0; hill < 4; hill++) {
      context.fillStyle = ['#868988', '#787d7a', '#6a706c', '#5d645f'][hill];
      context.beginPath();
      context.moveTo(0, height);
      for (let x = 0; x <= width; x += 4) context.lineTo(x, 150 + 48 * hill + 26 * Math.sin(x / (90 - 13 * hill) + hill * 2.1) + 9 * Math.sin(x / 23 + hill));
      context.lineTo(width, height);
      context.fill();
    }
    context.fillStyle = '#a8a6a0';
    context.beginPath();
    context.arc(90 + 60 * i, 80 + 12 * Math.cos(i), 26, 0, 7);
    context.fill();
  };
  return Array.from({ length: count }, (_, i) => {
    scene(i);
    const source = jpeg();
    const image = context.getImageData(0, 0, width, height);
    const counts = new Array(levels).fill(0);
    for (let at = 0; at < image.data.length; at += 4) counts[luma(image.data, at)]++;
    const first = counts.findIndex((one) => one > 0);
    let sum = 0;
    const lut = counts.map((one, level) => (level <= first ? 0 : Math.min(255, Math.round(((sum += one) * 255) / (width * height - counts[first])))));
    for (let at = 0; at < image.data.length; at += 4) {
      const y = luma(image.data, at);
      for (let c = 0; c < 3; c++) image.data[at + c] += lut[y] - y;
    }
    context.putImageData(image, 0, 0);
    return { in: source, out: jpeg(), counts, lut };
  });
}

export async function makeFrames(browser, count = 6) {
  const page = await browser.newPage();
  const frames = await page.evaluate(drawFrames, count);
  await page.close();
  return frames.map((frame) => ({ ...frame, in: Buffer.from(frame.in, 'base64'), out: Buffer.from(frame.out, 'base64') }));
}

export const config = (more = {}) => ({
  listen: '0.0.0.0:5004', backend: 'io_uring', sampling: 'YCbCr-4:2:2', depth: 8, width: 1920, height: 1080, interlaced: false, rule: 'opencv',
  window: { frames: 32 }, clip_limit: 0, scene_cut: 0, targets: ['10.0.0.9:5006'], preview: { per_second: 3, height_max: 360 }, ...more,
});

const formatOf = ({ sampling, depth, width, height, interlaced }) => ({ sampling, depth, width, height, interlaced });
const digestOf = (lut) => `sha-256=${createHash('sha256').update(Buffer.from(lut)).digest('hex')}`;

export class Streams {
  all = new Map();
  asked = [];  // "METHOD path" of each request, and of a picture what came of it
  refusal = null;  // [status, code, title, more]: what every change is answered with
  held = false;  // the picture stays the same

  constructor(frames) {
    this.frames = frames;
    this.began = Date.now();
  }

  add(name, more = {}) {
    this.all.set(name, { name, config: config(), state: 'running', since: new Date(Date.now() - 754_000).toISOString(), core: { cpu: 3, busy: 0.41, quota: 0.8 }, lost: 0, ...more });
    return this.all.get(name);
  }

  tick() {
    return this.held ? 0 : Math.floor((Date.now() - this.began) / 150);
  }

  // As GET tells it.
  state({ lost, malformed = 0, format, ...stream }, whole) {
    const { name, config: told, state, since, error, core } = stream;
    if (error) return { name, config: told, state, since, error };
    const waits = state === 'waiting';
    const seconds = (Date.now() - this.began) / 1000;
    const wave = Math.sin(seconds / 3);
    const received = waits ? 0 : 123_840_211 + Math.round(seconds * 154_000);
    const frame = this.frames[this.tick() % this.frames.length];
    const lut = waits ? frame.lut.map((_, level) => level) : frame.lut;
    const rates = state === 'running' ? [153_900 + 180 * wave, 59.94 + 0.02 * wave, 1.4867e9 + 2e6 * wave] : [0, 0, 0];
    return {
      name, config: told, state, since, local: told.listen, format: format ?? formatOf(told), ...(waits ? {} : { ssrc: 0x5eed1a7e, payload_type: 96 }), core,
      packets: { received, lost, missing: 0, reordered: waits ? 0 : 12, duplicated: 0, late: 0, stray: 0, malformed, dropped: 0, sent: received, send_failed: 0 },
      faults: malformed > 0 ? { line_beyond_frame: malformed } : {}, changes: { ssrc: 0, restarts: 0, format: format ? 1 : 0, scene: 0 },
      frames: { whole: Math.round(received / 2567), partial: lost > 0 ? 3 : 0 },
      rate: { packets_per_second: rates[0], frames_per_second: rates[1], bits_per_second: rates[2] }, jitter_seconds: waits ? 0 : 0.0000043 + 1e-6 * wave,
      frame_jitter_seconds: waits ? 0 : 0.0000112,
      delay_seconds: waits ? { p50: null, p99: null, p999: null } : { p50: 0.0000061, p99: 0.0000214 + 4e-6 * wave, p999: 0.000083 },
      window: { ...told.window, filled: waits ? 0 : told.window.frames ?? told.window.average_frames },
      ...(whole ? { histogram: { levels: 256, counts: frame.counts.map((count) => (waits ? 0 : count * 9)) }, lut, lut_digest: digestOf(lut) } : {}),
    };
  }

  // True when it was a request of these.
  answer(mock, request, response, url, body) {
    const [, name, rest = ''] = /^\/v1\/streams(?:\/([^/]+))?(?:\/(\w+))?$/.exec(url.pathname) ?? [];
    if (!/^\/v1\/streams(\/|$)/.test(url.pathname)) return false;
    const note = (more = '') => this.asked.push(`${request.method} ${url.pathname}${url.search}${more}`);
    if (name === undefined) {
      note();
      mock.json(response, 200, { streams: [...this.all.values()].map((stream) => this.state(stream, false)) });
    } else if (rest === 'preview') {
      this.picture(mock, request, response, url, name, note);
    } else {
      note();
      this.one(mock, request, response, decodeURIComponent(name), body);
    }
    return true;
  }

  one(mock, request, response, name, body) {
    const stream = this.all.get(name);
    const fail = (status, code, title, more) => mock.json(response, status, { type: `urn:histod:problem:${code}`, title, status, ...more });
    const { method } = request;
    if (method !== 'GET' && this.refusal) return fail(...this.refusal);
    if (method === 'PUT') {
      this.put = JSON.parse(body);
      if (this.put.rule === 'pillow' && this.put.depth !== 8) {
        return fail(422, 'bad-stream', 'The stream cannot be set up so', { detail: `rule pillow is for a depth of 8, not "${this.put.depth}"`, value: String(this.put.depth), limit: '8' });
      }
      this.add(name, { config: config(this.put), state: 'waiting', since: new Date().toISOString(), core: { cpu: null, busy: 0, quota: 0.8 } });
      return mock.json(response, stream ? 200 : 201, this.state(this.all.get(name), true));
    }
    if (!stream) return fail(404, 'not-found', 'There is nothing at this path', { detail: `there is no stream ${name}` });
    if (method === 'DELETE') {
      this.all.delete(name);
      return response.writeHead(204).end();
    }
    if (method === 'PATCH') {
      this.patch = JSON.parse(body);
      const unknown = Object.keys(this.patch).find((member) => !changeable.includes(member));
      if (unknown) return fail(422, 'bad-stream', 'The stream cannot be set up so', { detail: `${unknown} cannot change while it runs` });
      Object.assign(stream.config, this.patch);
    }
    mock.json(response, 200, this.state(stream, true));
  }

  picture(mock, request, response, url, name, note) {
    const stream = this.all.get(name);
    if (!stream || stream.state === 'waiting') {
      note(' 404');
      return mock.problem(response, 404, 'no-frame', 'There is no picture yet', 'no whole frame came in yet');
    }
    const side = url.searchParams.get('side') ?? 'out';
    const number = this.tick();
    const etag = `"${number}-${side}"`;
    const same = request.headers['if-none-match'] === etag;
    note(same ? ' 304' : ' 200');
    response.writeHead(same ? 304 : 200, { ETag: etag, 'Cache-Control': 'no-cache', ...(same ? {} : { 'Content-Type': 'image/jpeg' }) });
    response.end(same ? undefined : this.frames[number % this.frames.length][side]);
  }
}
