// SPDX-License-Identifier: Apache-2.0
// Live streams: what the cards say of them, and what the forms send.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { get_frame, send_json } from '../../webui/src/api';
import { read_event } from '../../webui/src/feed/event';
import { change_of, config_of, draft_errors, k_first_draft, target_list, tuning_errors, tuning_of, type Draft, type Tuning } from '../../webui/src/model/stream_fields';
import {
  bits_text, changes_text, core_load, digest_hex, format_of, format_text, live_curve, live_series, loss_text, losses_of, quiet_text, spread_text, state_tone, stream_path, window_text, with_stream_samples,
  type StreamConfig, type StreamState,
} from '../../webui/src/model/streams';
import { StreamSource } from '../../webui/src/model/stream_source';
import { short_time_text, si_text } from '../../webui/src/text';

const k_config: StreamConfig = {
  listen: '0.0.0.0:5004', backend: 'io_uring', sampling: 'YCbCr-4:2:2', depth: 10, width: 1920, height: 1080, interlaced: false, rule: 'exact',
  window: { frames: 32 }, clip_limit: 0, scene_cut: 0.25, targets: ['10.0.0.9:5006', '[fd00::9]:5006'], preview: { per_second: 3, height_max: 270 },
};
const stream = (more: Partial<StreamState> = {}): StreamState => ({ name: 'camera', config: k_config, state: 'running', ...more });
const tuning = (more: Partial<Tuning> = {}): Tuning => ({ ...tuning_of(k_config), ...more });
const draft = (more: Partial<Draft> = {}): Draft => ({ ...k_first_draft, name: 'camera', ...more });

test('short times and rates have their own units', () => {
  assert.deepEqual([0, 4e-7, 0.0000123, 0.000456, 0.0012, 1.5, null, undefined, NaN].map(short_time_text),
    ['0 µs', '400 ns', '12.3 µs', '456 µs', '1.20 ms', '1.50 s', '–', '–', '–']);
  assert.deepEqual([0, 59.94, 999, 1000, 153_900, 1.4867e9, null].map(si_text), ['0', '59.9', '999', '1 k', '154 k', '1.49 G', '–']);
  assert.deepEqual([0, 12, 2e6, 1.4867e9, undefined].map(bits_text), ['0 b/s', '12 b/s', '2 Mb/s', '1.49 Gb/s', '–']);
});

test('a card says the format, the window and the loss', () => {
  assert.equal(format_text(k_config), '1,920 × 1,080 · YCbCr-4:2:2 · 10\u00a0bit');
  assert.equal(format_text({ ...k_config, interlaced: true }), '1,920 × 1,080 interlaced · YCbCr-4:2:2 · 10\u00a0bit');
  assert.equal(format_text({}), '');
  assert.equal(format_of(stream()).width, 1920, 'as it is configured, until the daemon tells what comes in');
  assert.equal(format_text(format_of(stream({ format: { width: 64, height: 48, sampling: 'RGB', depth: 8 } }))), '64 × 48 · RGB · 8\u00a0bit');
  assert.equal(window_text(stream({ window: { frames: 32, filled: 7 } })), '7 of 32');
  assert.equal(window_text(stream({ config: { window: { average_frames: 16 } } })), 'avg of 16');
  assert.equal(window_text(stream({ config: {} })), '–');
  assert.deepEqual([undefined, { received: 5 }, { received: 3, lost: 1 }, { received: 9999, lost: 1 }, { received: 1e9, lost: 1 }].map(loss_text),
    ['0 %', '0 %', '25.0 %', '0.010 %', '< 0.001 %']);
  assert.deepEqual(['running', 'silent', 'failed', 'waiting', 'toString'].map(state_tone), ['good', 'warn', 'bad', 'muted', 'muted']);
  assert.equal(digest_hex(stream({ lut_digest: 'sha-256=00ff' })), '00ff');
  assert.equal(digest_hex(stream({ lut_digest: 'md5=1' })), '');
  assert.equal(stream_path('a/b?', '/preview'), '/v1/streams/a%2Fb%3F/preview');
});

test('the warning comes before the quota is reached, and another one beyond it', () => {
  const tone = (busy: number | undefined, quota = 0.8) => core_load(stream({ core: { cpu: 3, quota, ...(busy === undefined ? {} : { busy }) } }))?.tone;
  assert.deepEqual([0, 0.71, 0.73, 0.79, 0.8, 1.2].map((busy) => tone(busy)), ['', '', 'warn', 'warn', 'bad', 'bad']);
  assert.deepEqual([tone(undefined), tone(0.5, 0), core_load(stream())], [undefined, undefined, null]);
  assert.match(core_load(stream({ core: { busy: 0.75, quota: 0.8 } }))!.warning, /75 % of 80 %/);
});

test('histogram and table are drawn at any depth', () => {
  const levels = 1024;
  const counts = Array.from({ length: levels }, (_, i) => i % 5);
  const series = live_series(stream({ histogram: { levels, counts } }))!;
  assert.deepEqual([series.levels.length, series.level_step, series.levels.at(-1)], [256, 4, 1020]);
  assert.equal(series.planes[0]!.bars.reduce((a, b) => a + b, 0), counts.reduce((a, b) => a + b, 0));
  const curve = live_curve(stream({ lut: Array.from({ length: levels }, (_, i) => i) }))!;
  assert.deepEqual([curve.top, curve.levels.at(-1), curve.planes[0]!.values.at(-1)], [1023, 1023, 1023]);
  assert.deepEqual(curve.planes[0]!.values, curve.levels, 'unchanged levels are the diagonal');
  assert.deepEqual([live_series(stream()), live_curve(stream()), live_curve(stream({ lut: [] }))], [null, null, null]);
});

test('a stream that is quiet says why, and what was changed is counted', () => {
  assert.match(quiet_text(stream({ state: 'waiting', local: '127.0.0.1:40123' })), /127\.0\.0\.1:40123/);
  assert.match(quiet_text(stream({ state: 'waiting' })), /0\.0\.0\.0:5004/);
  assert.match(quiet_text(stream({ state: 'silent' })), /any more/);
  assert.deepEqual([quiet_text(stream()), quiet_text(stream({ state: 'failed' }))], ['', '']);
  assert.equal(changes_text(stream({ changes: { ssrc: 2, restarts: 0, format: 1 } })), 'SSRC 2 ×, size 1 ×');
  assert.equal(changes_text(stream()), '');
});

test('a histogram in words', () => {
  const words = (counts: number[]) => spread_text(live_series(stream({ histogram: { levels: counts.length, counts } }))!);
  assert.equal(words([0, 0, 4, 1, 3, 0]), 'levels 2 to 4, half of the pixels up to 2');
  assert.equal(words([0, 0, 0]), 'nothing was counted yet');
  const deep = new Array<number>(1024).fill(0);
  [deep[64], deep[940]] = [10, 11];
  assert.equal(words(deep), 'levels 64 to 943, half of the pixels up to 943', 'four levels make a bar');
});

test('samples of each stream; one that was set up again begins anew', () => {
  const at = (lost: number, fps = 60) => stream({ packets: { lost }, rate: { frames_per_second: fps }, delay_seconds: { p99: 2e-5 } });
  let samples = with_stream_samples(new Map(), [at(0), { ...at(5), name: 'other' }]);
  samples = with_stream_samples(samples, [at(3)]);
  assert.deepEqual([...samples.keys()], ['camera']);
  samples = with_stream_samples(samples, [at(3)]);
  assert.deepEqual(losses_of(samples.get('camera')!), [3, 0]);
  assert.equal(with_stream_samples(samples, [at(1)]).get('camera')!.length, 1);
  for (let i = 0; i < 200; i++) samples = with_stream_samples(samples, [at(3)]);
  assert.equal(samples.get('camera')!.length, 90);
  assert.deepEqual(with_stream_samples(new Map(), [stream({ state: 'failed' })]).get('camera'), [{ frames_per_second: null, delay_p99_us: null, lost: 0 }]);
});

test('a change has the members that are other ones, and no more', () => {
  assert.deepEqual(change_of(k_config, tuning()), {});
  assert.deepEqual(change_of(k_config, tuning({ rule: 'opencv', scene_cut: '0.250' })), { rule: 'opencv' });
  assert.deepEqual(change_of(k_config, tuning({ frames: '1' })), { window: { frames: 1 } });
  assert.deepEqual(change_of(k_config, tuning({ smoothing: 'average', average_frames: '8' })), { window: { average_frames: 8 } });
  assert.deepEqual(change_of(k_config, tuning({ targets: ' 10.0.0.9:5006\n' })), { targets: ['10.0.0.9:5006'] });
  assert.deepEqual(change_of(k_config, tuning({ targets: '' })), { targets: [] });
  assert.deepEqual(change_of(k_config, tuning({ per_second: '5' })), { preview: { per_second: 5, height_max: 270 } });
  assert.deepEqual(change_of({ ...k_config, window: { average_frames: 16 } }, tuning({ smoothing: 'average', average_frames: '16' })), {});
  assert.deepEqual(change_of({}, tuning_of({})), {}, 'what is not told is the default');
});

test('fields that cannot be right are told before they are sent', () => {
  assert.deepEqual(tuning_errors(tuning()), {});
  const wrong = (more: Partial<Tuning>) => Object.keys(tuning_errors(tuning(more)));
  for (const frames of ['', '0', '-1', '1.5', 'many', '1e3', '1025']) assert.deepEqual(wrong({ frames }), ['frames'], frames);
  assert.deepEqual(wrong({ frames: 'x', smoothing: 'average' }), [], 'what is not sent may be anything');
  for (const average_frames of ['', '0', '3', '2048']) assert.deepEqual(wrong({ smoothing: 'average', average_frames }), ['average_frames'], average_frames);
  for (const clip_limit of ['', '0.5', '1001', 'x']) assert.deepEqual(wrong({ clip_limit }), ['clip_limit'], clip_limit);
  for (const clip_limit of ['0', '1', '2.5', '1000']) assert.deepEqual(wrong({ clip_limit }), [], clip_limit);
  for (const scene_cut of ['', '1.1', '-0.1']) assert.deepEqual(wrong({ scene_cut }), ['scene_cut'], scene_cut);
  assert.deepEqual([wrong({ per_second: '6' }), wrong({ per_second: '0' })], [['per_second'], []]);
  for (const targets of ['localhost:5006', '10.0.0.9', '10.0.0.9:65536', 'fd00::9:5006', '1.1.1.1:1 1.1.1.1:2 1.1.1.1:3 1.1.1.1:4 1.1.1.1:5']) {
    assert.deepEqual(wrong({ targets }), ['targets'], targets);
  }
  assert.deepEqual(target_list(' a:1,b:2\n\nc:3 '), ['a:1', 'b:2', 'c:3']);
});

test('a new stream by fields and by a description', () => {
  assert.deepEqual(draft_errors(draft(), []), {});
  assert.deepEqual(config_of(draft({ depth: '10', interlaced: 'interlaced', cpu: '3', targets: '10.0.0.9:5006' })), {
    listen: '0.0.0.0:5004', backend: 'io_uring', sampling: 'YCbCr-4:2:2', depth: 10, width: 1920, height: 1080, interlaced: true, cpu: 3,
    rule: 'opencv', window: { frames: 32 }, clip_limit: 0, scene_cut: 0, targets: ['10.0.0.9:5006'], preview: { per_second: 3, height_max: 360 },
  });
  const described = draft({ by: 'sdp', sdp: 'v=0\no=- 1 1 IN IP4 10.0.0.5\n', listen: '', backend: 'dpdk', dpdk_port: 'net_ring0', width: 'x' });
  assert.deepEqual(draft_errors(described, []), {});
  const config = config_of(described);
  assert.equal(config.sdp, 'v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\n');
  assert.equal(config.dpdk_port, 'net_ring0');
  assert.deepEqual(['listen', 'sampling', 'depth', 'width', 'height', 'interlaced', 'cpu', 'interface'].filter((name) => name in config), []);
});

test('a new stream’s mistakes are told at their fields', () => {
  const wrong = (more: Partial<Draft>, taken: string[] = []) => Object.keys(draft_errors(draft(more), taken));
  for (const name of ['', 'Camera', '-a', 'a b', 'a'.repeat(64), 'a/b']) assert.deepEqual(wrong({ name }), ['name'], name);
  assert.deepEqual(wrong({}, ['camera']), ['name'], 'a name that is taken would replace that stream');
  for (const listen of ['', '5004', 'host:5004', '0.0.0.0:99999']) assert.deepEqual(wrong({ listen }), ['listen'], listen);
  assert.deepEqual(wrong({ listen: '[ff15::1]:5004' }), []);
  assert.deepEqual(wrong({ backend: 'dpdk' }), ['dpdk_port']);
  assert.deepEqual([wrong({ width: '0' }), wrong({ height: 'x' }), wrong({ cpu: 'two' })], [['width'], ['height'], ['cpu']]);
  assert.deepEqual(wrong({ by: 'sdp', sdp: 'm=video' }), ['sdp']);
  assert.deepEqual(wrong({ clip_limit: '0.5' }), ['clip_limit']);
});

test('events of streams are a kind of their own', () => {
  assert.equal(read_event({ id: '1', source: 's', type: 'io.histod.stream.core-near-quota', subject: 'camera' }, '', 0)!.kind, 'stream');
});

// Answers in turn; what was asked is kept.
function with_fetch(answers: Response[]): Array<[string, RequestInit]> {
  const asked: Array<[string, RequestInit]> = [];
  globalThis.fetch = (async (path: string, init: RequestInit) => {
    asked.push([path, init]);
    return answers.shift() ?? new Response('', { status: 503 });
  }) as typeof fetch;
  return asked;
}

test('a picture that is still the same is not sent again', async () => {
  const asked = with_fetch([new Response('jpeg', { headers: { ETag: '"7-out"' } }), new Response(null, { status: 304 })]);
  const { signal } = new AbortController();
  const first = await get_frame('/p', 'token', '', signal);
  assert.ok(first.ok && first.value);
  assert.deepEqual([first.value.etag, await first.value.blob.text()], ['"7-out"', 'jpeg']);
  assert.deepEqual(await get_frame('/p', 'token', first.value.etag, signal), { ok: true, value: null });
  assert.deepEqual(asked.map(([, init]) => (init.headers as Record<string, string>)['If-None-Match']), [undefined, '"7-out"']);
  assert.equal((asked[0]![1].headers as Record<string, string>).Authorization, 'Bearer token');
});

test('what the server refuses comes back in its own words', async () => {
  const problem = { type: 'urn:histod:problem:bad-stream', title: 'No', detail: 'clip_limit must be at least 1, not "0.5"', value: '0.5', limit: '1' };
  const asked = with_fetch([new Response(JSON.stringify(problem), { status: 422, headers: { 'Content-Type': 'application/problem+json' } })]);
  const answer = await send_json('PATCH', '/v1/streams/a', 't', { clip_limit: 0.5 });
  assert.ok(!answer.ok);
  assert.deepEqual([answer.problem.status, answer.problem.code, answer.problem.detail, answer.problem.value, answer.problem.limit],
    [422, 'bad-stream', problem.detail, '0.5', '1']);
  assert.deepEqual([asked[0]![1].method, asked[0]![1].body], ['PATCH', '{"clip_limit":0.5}']);
});

test('a node without streams is asked once; one that does not answer says nothing about them', async () => {
  Object.assign(globalThis, { document: { visibilityState: 'visible' } });
  const told = async (answer: Response) => {
    const asked = with_fetch([answer]);
    const source = new StreamSource('t', () => undefined);
    await new Promise<void>((resolve) => source.subscribe(resolve));
    await source.look();
    source.stop();
    return [source.now().there, asked.length];
  };
  assert.deepEqual(await told(new Response('{}', { status: 404 })), [false, 1]);
  assert.deepEqual((await told(new Response('{"streams":[]}')))[0], true);
  assert.deepEqual((await told(new Response('', { status: 403 })))[0], true);
  assert.deepEqual((await told(new Response('', { status: 503 })))[0], null);
});
