// SPDX-License-Identifier: Apache-2.0
// Requests to the node that served the page. A failure is a value: a Problem, never an exception (but for an abort).
import type { Counts } from './histogram';
import { no_answer, parse_problem, type Problem } from './problem';

export type Answer<T> = { ok: true; value: T } | { ok: false; problem: Problem };

export interface WorkerState {
  cpu?: number;
  numa_node?: number;
  bytes_in_flight?: number;
  leased_bytes?: number;
  budget_bytes?: number;
  pages?: string;
  requests?: number;
  images?: number;
  images_busy_ns?: number;
}

export interface NodeState {
  version?: string;
  backend?: string;
  node_name?: string;
  uptime_s?: number;
  isa?: string;
  workers?: WorkerState[];
  arenas?: Array<{ numa_node?: number; cpus?: number[]; threads?: number }>;
  fallbacks?: Array<{ what?: string; why?: string }>;
  limits?: { upload_bytes?: number };
}

export interface Readiness {
  ready: boolean;
  draining: boolean;
}

export interface Image {
  blob: Blob;
  media_type: string;
  digest: string;  // SHA-256 of the table in hex; empty when the server named none
  server_timing: string | null;
}

const authorized = (token: string) => ({ Authorization: `Bearer ${token}` });

interface More {
  body?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function ask(method: string, path: string, token: string, { headers, ...more }: More = {}): Promise<Answer<Response>> {
  let response: Response;
  try {
    response = await fetch(path, { method, headers: { ...authorized(token), ...headers }, cache: 'no-store', ...more });
  } catch (error) {
    return { ok: false, problem: no_answer(error instanceof Error ? error.message : '') };
  }
  if (response.ok || response.status === 304) return { ok: true, value: response };
  const text = await response.text().catch(() => '');
  const { status, headers: answered } = response;
  return { ok: false, problem: parse_problem(status, answered.get('Content-Type') ?? '', text, answered.get('Retry-After')) };
}

async function json_of<T>(answer: Answer<Response>): Promise<Answer<T>> {
  if (!answer.ok) return answer;
  return parse_answer<T>(answer.value.status, await answer.value.text().catch(() => ''));
}

export const get_json = async <T>(path: string, token: string) => json_of<T>(await ask('GET', path, token));
export const post_json = async <T>(path: string, token: string) => json_of<T>(await ask('POST', path, token));
export const delete_at = (path: string, token: string) => ask('DELETE', path, token);

export const send_json = async <T>(method: 'PUT' | 'PATCH', path: string, token: string, value: unknown) =>
  json_of<T>(await ask(method, path, token, { body: JSON.stringify(value), headers: { 'Content-Type': 'application/json' } }));

async function blob_of(response: Response): Promise<Answer<Blob>> {
  try {
    return { ok: true, value: await response.blob() };
  } catch {
    return { ok: false, problem: no_answer('The connection was closed before all of the answer came.') };
  }
}

export async function get_blob(path: string, token: string): Promise<Answer<Blob>> {
  const answer = await ask('GET', path, token);
  return answer.ok ? blob_of(answer.value) : answer;
}

export interface Frame {
  blob: Blob;
  etag: string;
}

// Null: it is still the one with this ETag.
export async function get_frame(path: string, token: string, etag: string, signal: AbortSignal): Promise<Answer<Frame | null>> {
  const answer = await ask('GET', path, token, { signal, headers: etag === '' ? {} : { 'If-None-Match': etag } });
  if (!answer.ok) return answer;
  if (answer.value.status === 304) return { ok: true, value: null };
  const blob = await blob_of(answer.value);
  return blob.ok ? { ok: true, value: { blob: blob.value, etag: answer.value.headers.get('ETag') ?? '' } } : blob;
}

function parse_answer<T>(status: number, text: string): Answer<T> {
  try {
    return { ok: true, value: JSON.parse(text) as T };
  } catch {
    const problem = { ...no_answer('What came is no JSON.'), status, title: 'The server’s answer cannot be read' };
    return { ok: false, problem };
  }
}

export const get_node = (token: string) => get_json<NodeState>('/v1/node', token);

// /readyz answers 503 while the node is not ready: that is an answer, too.
export async function get_readiness(): Promise<Readiness | null> {
  try {
    const response = await fetch('/readyz', { cache: 'no-store' });
    const body = (await response.json().catch(() => ({}))) as Partial<Readiness>;
    return { ready: body.ready ?? response.ok, draining: body.draining ?? false };
  } catch {
    return null;
  }
}

interface Upload {
  path: string;
  token: string;
  body: Blob;
  signal: AbortSignal;
  on_sent?: (sent: number, total: number) => void;
  filename?: string;  // sent along where the node is to know it
}

function form_of(body: Blob, filename: string): FormData {
  const form = new FormData();
  form.set('image', body, filename);
  return form;
}

// XMLHttpRequest, because fetch does not tell how much was sent.
function post(upload: Upload): Promise<Answer<XMLHttpRequest>> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const aborted = () => reject(new DOMException('replaced by a newer request', 'AbortError'));
    if (upload.signal.aborted) return aborted();
    upload.signal.addEventListener('abort', () => request.abort());
    request.open('POST', upload.path);
    request.responseType = 'blob';
    request.setRequestHeader('Authorization', `Bearer ${upload.token}`);
    if (!upload.filename) request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.onprogress = (event) => upload.on_sent?.(event.loaded, upload.body.size);
    request.upload.onload = () => upload.on_sent?.(upload.body.size, upload.body.size);
    request.onabort = aborted;
    request.onerror = () => resolve({ ok: false, problem: no_answer('The connection was closed before an answer came.') });
    request.onload = () => void answer_of(request).then(resolve);
    request.send(upload.filename ? form_of(upload.body, upload.filename) : upload.body);
  });
}

async function answer_of(request: XMLHttpRequest): Promise<Answer<XMLHttpRequest>> {
  if (request.status >= 200 && request.status < 300) return { ok: true, value: request };
  const text = await (request.response as Blob).text().catch(() => '');
  const media_type = request.getResponseHeader('Content-Type') ?? '';
  return { ok: false, problem: parse_problem(request.status, media_type, text, request.getResponseHeader('Retry-After')) };
}

export async function post_equalize(query: string, upload: Omit<Upload, 'path'>): Promise<Answer<Image>> {
  const answer = await post({ ...upload, path: `/v1/equalize?${query}` });
  if (!answer.ok) return answer;
  const request = answer.value;
  const media_type = request.getResponseHeader('Content-Type') ?? '';
  const digest = /^sha-256=([0-9a-f]+)$/i.exec(request.getResponseHeader('Histod-Lut-Digest') ?? '')?.[1] ?? '';
  const blob = request.response as Blob;
  return { ok: true, value: { blob, media_type, digest, server_timing: request.getResponseHeader('Server-Timing') } };
}

// Kept on disk before it is accepted; gives the id of the job.
export async function post_job(query: string, filename: string, upload: Omit<Upload, 'path'>): Promise<Answer<string>> {
  const answer = await post({ ...upload, path: `/v1/jobs?${query}`, filename });
  if (!answer.ok) return answer;
  const job = parse_answer<{ id?: unknown }>(answer.value.status, await (answer.value.response as Blob).text());
  return job.ok ? { ok: true, value: String(job.value.id ?? '') } : job;
}

export async function post_histogram(query: string, upload: Omit<Upload, 'path'>): Promise<Answer<Counts>> {
  const answer = await post({ ...upload, path: `/v1/histogram?${query}` });
  if (!answer.ok) return answer;
  return parse_answer<Counts>(answer.value.status, await (answer.value.response as Blob).text());
}
