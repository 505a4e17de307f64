// SPDX-License-Identifier: Apache-2.0
// The files that were dropped, and how far each has come. Plain functions: every change gives another queue.
import type { Image } from '../api';
import { equalize_query, type Options } from '../options';
import type { Problem } from '../problem';
import { parse_server_timing, type Timing } from '../server_timing';

export type ItemState = 'waiting' | 'sending' | 'working' | 'done' | 'stored' | 'failed';

export interface Item {
  key: number;
  blob: Blob;
  filename: string;
  state: ItemState;
  sent: number;  // 0 to 1
  run: string;  // what was asked of it: run_key
  image: Image | null;  // what came back
  timing: Timing | null;
  problem: Problem | null;
  job: string;  // of a stored one
}

export interface Queue {
  items: readonly Item[];
  chosen: number | null;  // the key of the one that is shown
  next_key: number;
  left_out: number;  // files over the bound
}

export const k_files_max = 200;
export const k_at_once = 2;  // besides the one that is shown

export const k_empty_queue: Queue = { items: [], chosen: null, next_key: 1, left_out: 0 };

// What was asked of a file: by which path, and with which options.
export const run_key = (options: Options) => `${options.delivery} ${equalize_query(options)}`;

export interface NewFile {
  blob: Blob;
  filename: string;
}

// The first of the new files is shown.
export function add_files(queue: Queue, files: readonly NewFile[]): Queue {
  const room = k_files_max - queue.items.length;
  const added = files.slice(0, Math.max(0, room)).map(({ blob, filename }, i): Item => ({
    key: queue.next_key + i, blob, filename, state: 'waiting', sent: 0, run: '', image: null, timing: null, problem: null, job: '',
  }));
  return {
    items: [...queue.items, ...added],
    chosen: added[0]?.key ?? queue.chosen,
    next_key: queue.next_key + added.length,
    left_out: files.length - added.length,
  };
}

export function remove_file(queue: Queue, key: number): Queue {
  const at = queue.items.findIndex((item) => item.key === key);
  if (at < 0) return queue;
  const items = queue.items.filter((item) => item.key !== key);
  const near = items[Math.min(at, items.length - 1)]?.key ?? null;
  return { ...queue, items, chosen: queue.chosen === key ? near : queue.chosen, left_out: 0 };
}

export const chosen_item = (queue: Queue) => queue.items.find((item) => item.key === queue.chosen) ?? null;

export function change_item(queue: Queue, key: number, change: Partial<Item>): Queue {
  return { ...queue, items: queue.items.map((item) => (item.key === key ? { ...item, ...change } : item)) };
}

export const sending = (run: string): Partial<Item> => ({ state: 'sending', sent: 0, run, problem: null });

export const on_the_way = (sent: number): Partial<Item> => ({ state: sent < 1 ? 'sending' : 'working', sent });

export const done_with = (run: string, image: Image): Partial<Item> => ({
  state: 'done', sent: 1, run, image, timing: parse_server_timing(image.server_timing), problem: null, job: '',
});

export const stored_as = (run: string, job: string): Partial<Item> => ({ state: 'stored', sent: 1, run, job, problem: null });

export const failed_by = (problem: Problem): Partial<Item> => ({ state: 'failed', image: null, timing: null, problem });

// Made with other options than those that are set now.
export function is_outdated(item: Item, options: Options): boolean {
  return (item.state === 'done' || item.state === 'stored') && item.run !== run_key(options);
}

// The one that is shown follows the options by itself, but for a stored job, which is made only when it is asked for.
const follows = (queue: Queue, item: Item, options: Options) => item.key === queue.chosen && options.delivery === 'now';

// What is outdated or failed goes through again.
export function again(queue: Queue, options: Options): Queue {
  const items = queue.items.map((item) => {
    const wanted = !follows(queue, item, options) && (is_outdated(item, options) || item.state === 'failed');
    return wanted ? { ...item, state: 'waiting' as const, sent: 0, problem: null } : item;
  });
  return { ...queue, items };
}

// What is to be sent next; the shown one is sent by the stage itself.
export function to_start(queue: Queue, stage_has_chosen: boolean): Item[] {
  const mine = queue.items.filter((item) => !stage_has_chosen || item.key !== queue.chosen);
  const busy = mine.filter((item) => item.state === 'sending' || item.state === 'working').length;
  return mine.filter((item) => item.state === 'waiting').slice(0, Math.max(0, k_at_once - busy));
}

export interface Tally {
  total: number;
  done: number;
  failed: number;
  outdated: number;
  bytes: number;
}

export function tally(queue: Queue, options: Options): Tally {
  const count = (wanted: (item: Item) => boolean) => queue.items.filter(wanted).length;
  return {
    total: queue.items.length,
    done: count((item) => item.state === 'done' || item.state === 'stored'),
    failed: count((item) => item.state === 'failed'),
    outdated: count((item) => !follows(queue, item, options) && is_outdated(item, options)),
    bytes: queue.items.reduce((sum, item) => sum + item.blob.size, 0),
  };
}
