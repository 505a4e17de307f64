// SPDX-License-Identifier: Apache-2.0
// The link's world in a browser.
import { get_json, post_json, type Answer } from '../api';
import { no_answer } from '../problem';
import { text_of } from './event';
import { events_query, type Listed, type Socket, type Wire } from './link';

interface Ticket {
  ticket?: unknown;
}

const k_ticket = /^[A-Za-z0-9_-]{16,128}$/;

async function ask_ticket(token: string): Promise<Answer<string>> {
  const answer = await post_json<Ticket>('/v1/tickets', token);
  if (!answer.ok) return answer;
  const ticket = text_of(answer.value.ticket);
  if (k_ticket.test(ticket)) return { ok: true, value: ticket };
  return { ok: false, problem: no_answer('The answer of /v1/tickets has no ticket in it.') };
}

export function browser_wire(token: string): Wire {
  return {
    ticket: () => ask_ticket(token),
    list: (cursor) => get_json<Listed>(`/v1/events?${events_query({ ...cursor, identity: '' })}`, token),
    open: (cursor, ticket) => {
      const origin = location.origin.replace(/^http/, 'ws');
      return new WebSocket(`${origin}/v1/events?${events_query(cursor)}`, ['histod.events', `ticket.${ticket}`]) as Socket;
    },
    later: (ms, action) => {
      const timer = setTimeout(action, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    now_ms: Date.now,
  };
}
