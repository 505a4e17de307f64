// SPDX-License-Identifier: Apache-2.0
// The token lives in this tab only: sessionStorage, never a cookie, never the address.
import { useEffect, useState } from 'preact/hooks';
import { get_node, get_readiness, type NodeState, type Readiness } from './api';
import { sign_in_message } from './problem';

const k_key = 'histod.token';
const k_visible_ascii = /^[\x21-\x7e]+$/;
const k_poll_ms = 10_000;

export interface Session {
  token: string;  // empty: signed out
  node: NodeState | null;
  restoring: boolean;  // looking at the token that the tab still has
  checking: boolean;
  message: string;  // why not signed in
  sign_in(token: string): void;
  sign_out(message?: string): void;
}

export function use_session(): Session {
  const [token, set_token] = useState('');
  const [node, set_node] = useState<NodeState | null>(null);
  const [restoring, set_restoring] = useState(() => sessionStorage.getItem(k_key) !== null);
  const [checking, set_checking] = useState(false);
  const [message, set_message] = useState('');

  const sign_out = (why = '') => {
    sessionStorage.removeItem(k_key);
    set_token('');
    set_node(null);
    set_message(why);
  };
  const check = async (typed: string) => {
    const candidate = typed.trim();
    if (candidate === '') return set_message('Paste a token first.');
    if (!k_visible_ascii.test(candidate)) return set_message('This is no token: it has spaces or letters with accents in it.');
    set_checking(true);
    set_message('');
    const answer = await get_node(candidate);
    set_checking(false);
    if (!answer.ok) {
      if (answer.problem.status === 401) sessionStorage.removeItem(k_key);
      return set_message(sign_in_message(answer.problem));
    }
    sessionStorage.setItem(k_key, candidate);
    set_node(answer.value);
    set_token(candidate);
  };
  useEffect(() => {
    const stored = sessionStorage.getItem(k_key);
    if (stored !== null) void check(stored).then(() => set_restoring(false));
  }, []);
  return { token, node, restoring, checking, message, sign_in: (candidate) => void check(candidate), sign_out };
}

// undefined: not asked yet; null: no answer.
export function use_readiness(): Readiness | null | undefined {
  const [readiness, set_readiness] = useState<Readiness | null | undefined>(undefined);
  useEffect(() => {
    const ask = async () => {
      if (document.visibilityState === 'visible') set_readiness(await get_readiness());
    };
    void ask();
    const timer = setInterval(ask, k_poll_ms);
    document.addEventListener('visibilitychange', ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', ask);
    };
  }, []);
  return readiness;
}
