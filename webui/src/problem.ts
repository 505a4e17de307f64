// SPDX-License-Identifier: Apache-2.0
// What went wrong with a request, in words for the screen. The server sends application/problem+json (RFC 9457).

export interface Problem {
  status: number;  // 0: there was no answer
  code: string;
  title: string;
  detail: string;
  value: string;
  limit: string;
  retry_after_s: number | null;
}

const k_prefix = 'urn:histod:problem:';

const k_titles: Record<number, string> = {
  0: 'The server does not answer',
  400: 'The server did not understand the request',
  401: 'The token was not accepted',
  403: 'The token is not allowed to do this',
  408: 'The upload took too long',
  413: 'The image is over a limit',
  415: 'This is not an image format that histod reads',
  422: 'The image is broken',
  429: 'Too many failed attempts',
  503: 'The server is busy',
};

export function no_answer(detail: string): Problem {
  return { status: 0, code: 'no-answer', title: k_titles[0]!, detail, value: '', limit: '', retry_after_s: null };
}

// Told before the upload: a server that refuses a body may close the connection before its answer can be read.
export function too_large(bytes: number, limit: number): Problem {
  const detail = 'The file has more bytes than this server takes in one upload.';
  const text = (count: number) => `${count} bytes`;
  return { ...no_answer(detail), status: 413, code: 'too-large', title: k_titles[413]!, value: text(bytes), limit: text(limit) };
}

// Retry-After in seconds; the date form counts from `now_ms`.
export function parse_retry_after(header: string | null, now_ms: number): number | null {
  if (!header) return null;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now_ms) / 1000));
}

function as_text(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined || value === null ? '' : JSON.stringify(value);
}

function parse_members(body: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

// From any answer that is no success: also from a proxy's HTML page, of which only the status is used.
export function parse_problem(status: number, media_type: string, body: string, retry_after: string | null): Problem {
  const members = /^application\/(problem\+)?json\b/i.test(media_type) ? parse_members(body) : {};
  const type = as_text(members.type);
  return {
    status,
    code: type.startsWith(k_prefix) ? type.slice(k_prefix.length) : '',
    title: as_text(members.title) || (k_titles[status] ?? `The server answered with status ${status}`),
    detail: as_text(members.detail),
    value: as_text(members.value),
    limit: as_text(members.limit),
    retry_after_s: parse_retry_after(retry_after, Date.now()),
  };
}

// The sentence of the sign-in panel.
export function sign_in_message(problem: Problem): string {
  switch (problem.status) {
    case 0:
      return 'The server does not answer. Is it running, and is the network there?';
    case 401:
      return 'This token is not known to the server. Check that it was copied whole.';
    case 403:
      return 'The server knows this token, but it may not read the node’s state.';
    case 429: {
      const wait = problem.retry_after_s;
      return `Too many failed attempts from here. ${wait === null ? 'Wait a little' : `Wait ${wait} s`}, then try again.`;
    }
    default:
      return `${problem.title} (status ${problem.status}).`;
  }
}

// Worth trying again unchanged?
export function is_passing(problem: Problem): boolean {
  return [0, 408, 429, 500, 502, 503, 504].includes(problem.status);
}
