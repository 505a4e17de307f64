// SPDX-License-Identifier: Apache-2.0
// What the controls hold, and how it reads as a query. Names and bounds are those of the HTTP API.

export interface Choice {
  value: string;
  label: string;
  help: string;
}

export const k_methods: readonly Choice[] = [
  { value: 'global', label: 'Whole image', help: 'One table for the whole image: the classic histogram equalization.' },
  { value: 'clahe', label: 'By region (CLAHE)', help: 'A table for each tile, with the contrast limited: brings out local detail.' },
];

export const k_rules: readonly Choice[] = [
  { value: 'opencv', label: 'OpenCV', help: 'Bit for bit what cv::equalizeHist gives.' },
  { value: 'exact', label: 'Exact', help: 'Rounded in integers, no floating point. The one to use for new work.' },
  { value: 'reference', label: 'Reference', help: 'Rounded down, as the original course system does it.' },
  { value: 'pillow', label: 'Pillow', help: 'What Pillow’s ImageOps.equalize gives. 8 bit only.' },
  { value: 'vips', label: 'libvips', help: 'What vips_hist_equal gives: the lowest level is not moved to 0.' },
];

export const k_colors: readonly Choice[] = [
  { value: 'luma', label: 'Luma', help: 'Brightness only; hues stay as they are. Right for most photographs.' },
  { value: 'ycrcb', label: 'YCrCb', help: 'OpenCV’s round trip through YCrCb, byte for byte.' },
  { value: 'lab', label: 'L*a*b*', help: 'Equalizes L*, which is closer to how bright the eye sees it.' },
  { value: 'channels', label: 'Each channel', help: 'Red, green and blue each by its own histogram: colours will shift.' },
  { value: 'gray', label: 'Gray', help: 'Converts to gray first; the result has one channel.' },
];

export const k_formats: readonly Choice[] = [
  { value: '', label: 'Same as the input', help: 'The file’s own format, with its metadata.' },
  { value: 'png', label: 'PNG', help: 'Lossless, 8 or 16 bit.' },
  { value: 'jpeg', label: 'JPEG', help: 'Lossy, 8 bit only.' },
  { value: 'tiff', label: 'TIFF', help: 'Lossless, 8 or 16 bit, several pages.' },
  { value: 'pgm', label: 'PGM', help: 'Plain gray samples.' },
  { value: 'ppm', label: 'PPM', help: 'Plain colour samples.' },
  { value: 'pam', label: 'PAM', help: 'Plain samples, with alpha.' },
];

export const k_placements: readonly Choice[] = [
  { value: 'auto', label: 'Automatic', help: 'On this node or over the fleet, whichever is estimated to be faster.' },
  { value: 'local', label: 'This node', help: 'Counted and mapped on this node alone.' },
  { value: 'fleet', label: 'Fleet', help: 'Its rows are spread over all nodes; the result is the same.' },
];

export const k_deliveries: readonly Choice[] = [
  { value: 'now', label: 'At once', help: 'The result comes back with the answer.' },
  { value: 'job', label: 'As stored jobs', help: 'Each file is on disk before it is accepted, and outlives a power cut.' },
];

export interface Options {
  method: string;
  rule: string;
  color: string;
  clip: string;
  tiles: string;
  format: string;
  quality: string;
  placement: string;
  delivery: string;  // of the page, not of the API: by which path
}

export const k_default_options: Options = {
  method: 'global',
  rule: 'opencv',
  color: 'luma',
  clip: '2.0',
  tiles: '8x8',
  format: '',
  quality: '',
  placement: 'auto',
  delivery: 'now',
};

// The rules that mean something under CLAHE.
const k_clahe_help: Record<string, string> = {
  opencv: 'Bit for bit what cv::createCLAHE gives.',
  exact: 'Spreads what was clipped evenly; differs from OpenCV in 16 bit only.',
};

export function rule_applies(method: string, rule: string): boolean {
  return method !== 'clahe' || rule in k_clahe_help;
}

// CLAHE is not spread over nodes.
export const placement_applies = (method: string, placement: string) => method !== 'clahe' || placement !== 'fleet';

// The rules as they are explained for a method.
export function rules_for(method: string): readonly Choice[] {
  if (method !== 'clahe') return k_rules;
  return k_rules.map((rule) => ({ ...rule, help: k_clahe_help[rule.value] ?? 'Not for CLAHE.' }));
}

// Changes one field and puts right what no longer goes with it.
export function with_option(options: Options, name: keyof Options, value: string): Options {
  const next = { ...options, [name]: value };
  if (!rule_applies(next.method, next.rule)) next.rule = 'opencv';
  if (!placement_applies(next.method, next.placement)) next.placement = 'auto';
  return next;
}

export type OptionErrors = Partial<Record<keyof Options, string>>;

const k_number = /^\d+(\.\d+)?$/;

// What is wrong with the typed fields that will be sent; empty when nothing is.
export function option_errors(options: Options): OptionErrors {
  const errors: OptionErrors = {};
  if (options.method === 'clahe') {
    const clip = options.clip.trim();
    if (!k_number.test(clip) || Number(clip) > 1000) errors.clip = 'From 0 to 1000.';
    const tiles = /^(\d{1,3})(?:x(\d{1,3}))?$/.exec(options.tiles.trim());
    const sides = tiles ? [Number(tiles[1]), Number(tiles[2] ?? tiles[1])] : [0];
    if (sides.some((side) => side < 1 || side > 256)) errors.tiles = 'As 8x8, each from 1 to 256.';
  }
  const quality = options.quality.trim();
  if (options.format === 'jpeg' && quality !== '' && !(/^\d{1,3}$/.test(quality) && +quality >= 1 && +quality <= 100)) {
    errors.quality = 'Whole, 1 to 100.';
  }
  return errors;
}

// The query of POST /v1/equalize, without "?". `format` overrides the chosen one.
export function equalize_query(options: Options, format = options.format): string {
  const query = new URLSearchParams({ method: options.method, rule: options.rule, color: options.color });
  if (options.method === 'clahe') {
    query.set('clip', options.clip.trim());
    query.set('tiles', options.tiles.trim());
  }
  if (options.placement !== 'auto') query.set('placement', options.placement);
  if (format !== '') query.set('format', format);
  if (format === 'jpeg' && options.quality.trim() !== '') query.set('quality', options.quality.trim());
  return query.toString();
}

// The query of POST /v1/histogram. What is counted depends on the rule and the colour only; the table of the whole image
// comes with it.
export function histogram_query(options: Options): string {
  return new URLSearchParams({ rule: options.rule, color: options.color }).toString();
}
