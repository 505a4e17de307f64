// SPDX-License-Identifier: Apache-2.0
import { useEffect, useReducer, useRef } from 'preact/hooks';
import type { Answer, Image } from './api';
import type { Counts } from './histogram';
import type { Input } from './input';
import { option_errors, type Options } from './options';
import { no_answer, too_large, type Problem } from './problem';
import { release_result, run, type Result } from './run';

export interface RunState {
  busy: boolean;
  sent: number;  // 0 to 1
  result: Result | null;  // the last one; it stays while the next is under way
  before: Counts | null;
  after: Counts | null;
  count_problem: Problem | null;
  problem: Problem | null;
}

const k_nothing: RunState = {
  busy: false, sent: 0, result: null, before: null, after: null, count_problem: null, problem: null,
};

type Action =
  | { type: 'clear' }
  | { type: 'start' }
  | { type: 'idle' }
  | { type: 'sent'; share: number }
  | { type: 'equalized'; result: Result }
  | { type: 'counted'; before: Answer<Counts>; after: Answer<Counts> }
  | { type: 'failed'; problem: Problem };

export function reduce(state: RunState, action: Action): RunState {
  switch (action.type) {
    case 'clear':
      return k_nothing;
    case 'start':
      return { ...state, busy: true, sent: 0 };
    case 'idle':
      return { ...state, busy: false };
    case 'sent':
      return { ...state, sent: action.share };
    case 'equalized':
      return { ...state, busy: false, sent: 1, result: action.result, problem: null };
    case 'counted':
      return {
        ...state,
        before: action.before.ok ? action.before.value : null,
        after: action.after.ok ? action.after.value : null,
        count_problem: action.before.ok ? (action.after.ok ? null : action.after.problem) : action.before.problem,
      };
    case 'failed':
      return { ...k_nothing, problem: action.problem };
  }
}

const k_debounce_ms = 250;

interface Wanted {
  input: Input | null;
  options: Options;
  token: string;
  upload_bytes: number;  // the most that the server takes
  attempt: number;  // counts up to ask for the same again
  known: Image | null;  // what these options made of this input before
}

// Runs when the input or an option changes, a moment after the last change; the older request is aborted.
export function use_run({ input, options, token, upload_bytes, attempt, known }: Wanted): RunState {
  const [state, dispatch] = useReducer(reduce, k_nothing);
  const last_input = useRef<Input | null>(null);

  useEffect(() => {
    const same_input = last_input.current === input;
    last_input.current = input;
    if (!same_input) dispatch({ type: 'clear' });
    if (!input || Object.keys(option_errors(options)).length > 0) return;
    if (input.blob.size > upload_bytes) return dispatch({ type: 'failed', problem: too_large(input.blob.size, upload_bytes) });
    const abort = new AbortController();
    dispatch({ type: 'start' });
    const events = {
      sent: (sent: number, total: number) => dispatch({ type: 'sent', share: total > 0 ? sent / total : 1 }),
      equalized: (result: Result) => dispatch({ type: 'equalized', result }),
      counted: (before: Answer<Counts>, after: Answer<Counts>) => dispatch({ type: 'counted', before, after }),
      failed: (problem: Problem) => dispatch({ type: 'failed', problem }),
    };
    const start = () => {
      run(input, options, token, abort.signal, events, known).catch((error: unknown) => {
        if (!abort.signal.aborted) dispatch({ type: 'failed', problem: no_answer(String(error)) });
      });
    };
    const timer = setTimeout(start, same_input ? k_debounce_ms : 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
      dispatch({ type: 'idle' });
    };
  }, [input, options, token, attempt]);

  useEffect(() => () => release_result(state.result), [state.result]);
  return state;
}
