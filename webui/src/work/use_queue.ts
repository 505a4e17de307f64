// SPDX-License-Identifier: Apache-2.0
// Sends the files of the queue, two at a time; the one that is shown is sent by the stage.
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { post_equalize, post_job } from '../api';
import { equalize_query, option_errors, type Options } from '../options';
import { no_answer, too_large } from '../problem';
import {
  add_files, again, change_item, done_with, failed_by, k_empty_queue, on_the_way, remove_file, run_key, sending, stored_as, to_start,
  type Item, type NewFile, type Queue,
} from './queue';

export interface QueueControl {
  queue: Queue;
  add(files: readonly NewFile[]): void;
  choose(key: number): void;
  remove(key: number): void;
  clear(): void;
  again(): void;
  change(key: number, change: Partial<Item>): void;
}

interface Wanted {
  options: Options;
  token: string;
  upload_bytes: number;
}

type Change = (queue: Queue) => Queue;

export function use_queue({ options, token, upload_bytes }: Wanted): QueueControl {
  const [queue, apply] = useReducer<Queue, Change>((now, change) => change(now), k_empty_queue);
  const aborts = useRef(new Map<number, AbortController>());
  const change = (key: number, by: Partial<Item>) => apply((now) => change_item(now, key, by));
  const give_up = (key: number) => {
    aborts.current.get(key)?.abort();
    aborts.current.delete(key);
  };
  const send = async (item: Item) => {
    const abort = new AbortController();
    aborts.current.set(item.key, abort);
    const run = run_key(options);
    change(item.key, sending(run));
    const on_sent = (sent: number, total: number) => change(item.key, on_the_way(total > 0 ? sent / total : 1));
    const upload = { token, body: item.blob, signal: abort.signal, on_sent };
    try {
      if (item.blob.size > upload_bytes) return change(item.key, failed_by(too_large(item.blob.size, upload_bytes)));
      if (options.delivery === 'job') {
        const job = await post_job(equalize_query(options), item.filename, upload);
        return change(item.key, job.ok ? stored_as(run, job.value) : failed_by(job.problem));
      }
      const image = await post_equalize(equalize_query(options), upload);
      change(item.key, image.ok ? done_with(run, image.value) : failed_by(image.problem));
    } catch (error) {
      if (!abort.signal.aborted) change(item.key, failed_by(no_answer(String(error))));
    } finally {
      if (aborts.current.get(item.key) === abort) aborts.current.delete(item.key);
    }
  };
  useEffect(() => {
    if (Object.keys(option_errors(options)).length > 0) return;
    for (const item of to_start(queue, options.delivery === 'now')) {
      if (!aborts.current.has(item.key)) void send(item);
    }
  }, [queue, options]);
  useEffect(() => () => [...aborts.current.keys()].forEach(give_up), []);
  return {
    queue,
    add: (files) => apply((now) => add_files(now, files)),
    choose: (key) => {
      // What is under way goes on on the stage.
      if (options.delivery === 'now' && aborts.current.has(key)) {
        give_up(key);
        change(key, { state: 'waiting', sent: 0 });
      }
      apply((now) => ({ ...now, chosen: key }));
    },
    remove: (key) => {
      give_up(key);
      apply((now) => remove_file(now, key));
    },
    clear: () => {
      [...aborts.current.keys()].forEach(give_up);
      apply((now) => ({ ...k_empty_queue, next_key: now.next_key }));
    },
    again: () => apply((now) => again(now, options)),
    change,
  };
}
