// SPDX-License-Identifier: Apache-2.0
// What the forms of a stream hold, and how it reads as the members of the API. Bounds that depend on more than one field are the server's to tell.
import type { StreamConfig } from './streams';

// What may change while it runs.
export interface Tuning {
  rule: string;
  smoothing: string;  // 'window': all of the last frames weigh the same; 'average': the latest weighs most
  frames: string;
  average_frames: string;
  clip_limit: string;
  scene_cut: string;
  targets: string;  // one in a line
  per_second: string;  // of the preview
}

export interface Draft extends Tuning {
  name: string;
  by: string;  // 'fields' or 'sdp'
  sdp: string;
  listen: string;
  interface: string;
  backend: string;
  dpdk_port: string;
  sampling: string;
  depth: string;
  width: string;
  height: string;
  interlaced: string;
  cpu: string;
}

export type FieldErrors<T> = Partial<Record<keyof T, string>>;

export const k_targets_max = 4;
export const k_preview_height = 360;

export function tuning_of({ rule = 'opencv', window, clip_limit = 0, scene_cut = 0, targets = [], preview }: StreamConfig): Tuning {
  return {
    rule, smoothing: window?.average_frames ? 'average' : 'window', frames: String(window?.frames ?? 32), average_frames: String(window?.average_frames ?? 16),
    clip_limit: String(clip_limit), scene_cut: String(scene_cut), targets: targets.join('\n'), per_second: String(preview?.per_second ?? 3),
  };
}

export const k_first_draft: Draft = {
  ...tuning_of({}), name: '', by: 'fields', sdp: '', listen: '0.0.0.0:5004', interface: '', backend: 'io_uring', dpdk_port: '', sampling: 'YCbCr-4:2:2',
  depth: '8', width: '1920', height: '1080', interlaced: '', cpu: '',
};

const k_decimal = /^\d{1,6}(\.\d{1,6})?$/;
const k_endpoint = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\]):(\d{1,5})$/i;

const is_whole = (text: string, least: number, most: number) => /^\d{1,6}$/.test(text.trim()) && +text >= least && +text <= most;
const is_decimal = (text: string, most: number) => k_decimal.test(text.trim()) && +text <= most;
const is_endpoint = (text: string) => Number(k_endpoint.exec(text)?.[3] ?? 65536) <= 65535;

export const target_list = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

function targets_error(text: string): string | undefined {
  const targets = target_list(text);
  if (targets.length > k_targets_max) return `At most ${k_targets_max}.`;
  const wrong = targets.find((target) => !is_endpoint(target));
  return wrong === undefined ? undefined : `“${wrong.slice(0, 60)}” is no ADDRESS:PORT with a numeric address, IPv6 in brackets.`;
}

const told = <T>(errors: FieldErrors<T>): FieldErrors<T> =>
  Object.fromEntries(Object.entries(errors).filter(([, error]) => error !== undefined)) as FieldErrors<T>;

const k_power_of_two = /^(1|2|4|8|16|32|64|128|256|512|1024)$/;

// Empty when nothing is wrong that can be seen from here.
export function tuning_errors(tuning: Tuning): FieldErrors<Tuning> {
  const clip = tuning.clip_limit.trim();
  return told<Tuning>({
    ...(tuning.smoothing === 'window' && !is_whole(tuning.frames, 1, 1024) ? { frames: 'Whole, 1 to 1024.' } : {}),
    ...(tuning.smoothing === 'average' && !k_power_of_two.test(tuning.average_frames.trim()) ? { average_frames: 'A power of two, 1 to 1024.' } : {}),
    ...(!is_decimal(clip, 1000) || (+clip > 0 && +clip < 1) ? { clip_limit: '0 (none), or 1 to 1000.' } : {}),
    ...(!is_decimal(tuning.scene_cut, 1) ? { scene_cut: '0 (off) to 1.' } : {}),
    ...(!is_decimal(tuning.per_second, 5) ? { per_second: '0 (none) to 5.' } : {}),
    ...(targets_error(tuning.targets) ? { targets: targets_error(tuning.targets)! } : {}),
  });
}

function window_of(tuning: Tuning): { frames: number } | { average_frames: number } {
  return tuning.smoothing === 'average' ? { average_frames: +tuning.average_frames } : { frames: +tuning.frames };
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

function members_of(tuning: Tuning, height_max: number) {
  return {
    rule: tuning.rule, window: window_of(tuning), clip_limit: +tuning.clip_limit, scene_cut: +tuning.scene_cut, targets: target_list(tuning.targets),
    preview: { per_second: +tuning.per_second, height_max },
  };
}

// The body of PATCH: the members that are other ones than those of `config`.
export function change_of(config: StreamConfig, tuning: Tuning): Partial<StreamConfig> {
  const height_max = config.preview?.height_max ?? k_preview_height;
  const [before, after] = [members_of(tuning_of(config), height_max), members_of(tuning, height_max)];
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => !same(value, before[name as keyof typeof before]))) as Partial<StreamConfig>;
}

function format_errors(draft: Draft): FieldErrors<Draft> {
  if (draft.by === 'sdp') return draft.sdp.trim().startsWith('v=0') ? {} : { sdp: 'A description begins with v=0.' };
  return {
    ...(is_whole(draft.width, 1, 32767) ? {} : { width: 'Whole, 1 to 32767.' }), ...(is_whole(draft.height, 1, 32767) ? {} : { height: 'Whole, 1 to 32767.' }),
  };
}

export function draft_errors(draft: Draft, taken: readonly string[]): FieldErrors<Draft> {
  const listen = draft.listen.trim();
  const by_sdp = draft.by === 'sdp' && listen === '';  // then the description says it
  return told<Draft>({
    ...(!/^[a-z0-9][a-z0-9-]{0,62}$/.test(draft.name) ? { name: 'Small letters, digits and “-”, at most 63.' } : {}),
    ...(taken.includes(draft.name) ? { name: 'There is a stream of this name: change that one, or remove it first.' } : {}),
    ...(!by_sdp && !is_endpoint(listen) ? { listen: 'As 0.0.0.0:5004: a numeric address and a port.' } : {}),
    ...(draft.backend === 'dpdk' && draft.dpdk_port.trim() === '' ? { dpdk_port: 'As net_af_packet0,iface=eth1.' } : {}),
    ...(draft.cpu.trim() !== '' && !is_whole(draft.cpu, 0, 4095) ? { cpu: 'The number of a CPU.' } : {}),
    ...format_errors(draft),
    ...tuning_errors(draft),
  });
}

// The body of PUT.
export function config_of(draft: Draft): StreamConfig {
  const listen = draft.listen.trim();
  return {
    ...(listen === '' ? {} : { listen }),
    ...(draft.interface.trim() === '' ? {} : { interface: draft.interface.trim() }),
    backend: draft.backend,
    ...(draft.backend === 'dpdk' ? { dpdk_port: draft.dpdk_port.trim() } : {}),
    ...(draft.by === 'sdp'
      ? { sdp: `${draft.sdp.trim().split(/\r?\n/).join('\r\n')}\r\n` }
      : { sampling: draft.sampling, depth: +draft.depth, width: +draft.width, height: +draft.height, interlaced: draft.interlaced !== '' }),
    ...(draft.cpu.trim() === '' ? {} : { cpu: +draft.cpu }),
    ...members_of(draft, k_preview_height),
  };
}
