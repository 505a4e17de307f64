// SPDX-License-Identifier: Apache-2.0
// One event of the feed as the page holds it. It comes from anybody who may post events: nothing in it is trusted.

export const k_severities = ['debug', 'info', 'ok', 'warning', 'error'] as const;
export type Severity = (typeof k_severities)[number];

export const k_kinds = ['rollout', 'cluster', 'zookeeper', 'secops', 'job', 'stream', 'log', 'other'] as const;
export type Kind = (typeof k_kinds)[number];

export interface FeedEvent {
  key: string;  // source and id: its identity, wherever it was seen
  id: string;
  source: string;
  type: string;
  kind: Kind;
  subject: string;
  time_ms: number;  // its own time; where it has none that can be read, when it came
  severity: Severity;
  node: string;
  rolloutid: string;
  replay: boolean;
  sequence: number | null;  // its place in the ring of the node that told it
  identity: string;  // of the node that told it
  message: string;
  data: Readonly<Record<string, unknown>>;
  raw: Readonly<Record<string, unknown>>;
  haystack: string;  // what a search looks through, in lower case
  chars: number;  // about how much it takes to keep
}

const k_prefix = 'io.histod.';
const k_searched_chars = 2_000;

export const text_of = (value: unknown): string => (typeof value === 'string' ? value : '');

export const is_object = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function kind_of(type: string): Kind {
  const name = type.startsWith(k_prefix) ? type.slice(k_prefix.length).split('.')[0]! : '';
  return (k_kinds as readonly string[]).includes(name) ? (name as Kind) : 'other';
}

function sequence_of(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

const severity_of = (value: unknown): Severity =>
  (k_severities as readonly unknown[]).includes(value) ? (value as Severity) : 'info';

// Null for what is no event. `identity`: of the node that told it.
export function read_event(raw: unknown, identity: string, now_ms: number): FeedEvent | null {
  if (!is_object(raw)) return null;
  const [id, source, type] = [text_of(raw.id), text_of(raw.source), text_of(raw.type)];
  if (id === '' || source === '' || type === '') return null;
  const data = is_object(raw.data) ? raw.data : {};
  const time_ms = Date.parse(text_of(raw.time));
  const message = text_of(data.message) || type;
  const [subject, node, rolloutid] = [text_of(raw.subject), text_of(raw.node), text_of(raw.rolloutid)];
  const searched = [message, type, node, subject, source, id, rolloutid, text_of(data.resource), text_of(data.error)];
  return {
    key: `${source}\n${id}`,
    id, source, type, kind: kind_of(type), subject,
    time_ms: Number.isNaN(time_ms) ? now_ms : time_ms,
    severity: severity_of(raw.severity),
    node, rolloutid,
    replay: raw.replay === true || raw.replay === 'true',
    sequence: sequence_of(raw.sequence),
    identity, message, data, raw,
    haystack: searched.join('\n').slice(0, k_searched_chars).toLowerCase(),
    chars: JSON.stringify(raw).length,
  };
}

export type Tone = 'muted' | 'plain' | 'good' | 'warn' | 'bad' | 'rollout';

const k_red_types = ['io.histod.cluster.leader', 'io.histod.secops.peer_intrusion', 'io.histod.secops.znode'];

// The colours of the original's dashboard: elections and blocked intrusions are red whatever their severity, a rollout
// is blue as long as it goes well.
export function tone_of(event: FeedEvent): Tone {
  if (event.severity === 'error' || k_red_types.includes(event.type)) return 'bad';
  if (event.severity === 'warning') return 'warn';
  if (event.kind === 'rollout') return 'rollout';
  if (event.severity === 'ok') return 'good';
  return event.severity === 'debug' ? 'muted' : 'plain';
}

export const k_rollout_mark = '[IaC / GitOps]';

// io.histod.rollout.argocd.deployed -> rollout.argocd.deployed
export const short_type = (type: string) => (type.startsWith(k_prefix) ? type.slice(k_prefix.length) : type);

const k_control = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function shown_control(letter: string): string {
  const code = letter.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : `\\u${code.toString(16).padStart(4, '0')}`;
}

// One line in which nothing is invisible or turns the reading direction round.
export function one_line(text: string, chars = 400): string {
  const cut = text.length > chars ? `${text.slice(0, chars)}…` : text;
  return cut.replace(/\s*[\r\n]+\s*/g, ' ⏎ ').replaceAll('\t', ' ').replace(k_control, shown_control);
}

// The fields of a log line as `name=value`, each behind a space.
export function fields_text(fields: unknown): string {
  if (!is_object(fields)) return '';
  return Object.entries(fields).slice(0, 24).map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('');
}
