// SPDX-License-Identifier: Apache-2.0
// What a file is by its first bytes: names lie, and the server looks at the bytes too.

export type Format = 'png' | 'jpeg' | 'tiff' | 'pgm' | 'ppm' | 'pam' | 'other';

const starts_with = (bytes: Uint8Array, ...magic: number[]) => magic.every((value, i) => bytes[i] === value);

export function sniff(bytes: Uint8Array): Format {
  if (starts_with(bytes, 0x89, 0x50, 0x4e, 0x47)) return 'png';
  if (starts_with(bytes, 0xff, 0xd8, 0xff)) return 'jpeg';
  // II or MM, then 42 (TIFF) or 43 (BigTIFF).
  for (const version of [42, 43]) {
    if (starts_with(bytes, 0x49, 0x49, version, 0) || starts_with(bytes, 0x4d, 0x4d, 0, version)) return 'tiff';
  }
  if (bytes[0] !== 0x50) return 'other';
  const kind = String.fromCharCode(bytes[1] ?? 0);
  if (kind === '2' || kind === '5') return 'pgm';
  if (kind === '3' || kind === '6') return 'ppm';
  return kind === '7' ? 'pam' : 'other';
}

// Formats that an <img> shows by itself.
export const browser_shows = (format: Format) => format === 'png' || format === 'jpeg';

const k_by_media_type: Record<string, Format> = {
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/tiff': 'tiff',
  'image/x-portable-graymap': 'pgm',
  'image/x-portable-pixmap': 'ppm',
  'image/x-portable-arbitrarymap': 'pam',
};

// The format that a Content-Type names, whatever its parameters.
export function format_of_media_type(value: string): Format {
  return k_by_media_type[value.split(';')[0]!.trim().toLowerCase()] ?? 'other';
}

const k_extensions: Record<Format, string> = {
  png: 'png', jpeg: 'jpg', tiff: 'tif', pgm: 'pgm', ppm: 'ppm', pam: 'pam', other: 'bin',
};

// The name under which a result is saved: photo.of.me.tiff -> photo.of.me_equalized.tif
export function result_filename(input: string, format: Format): string {
  const base = input.split(/[\\/]/).pop()!.replace(/[\u0000-\u001f\u007f]/g, '');
  const dot = base.lastIndexOf('.');
  const stem = dot > 0 ? base.slice(0, dot) : base;
  const own = dot > 0 ? base.slice(dot + 1) : '';
  const same = /^(jpe?g|tiff?)$/i.test(own) && own[0]!.toLowerCase() === k_extensions[format][0];
  return `${stem || 'image'}_equalized.${same ? own : k_extensions[format]}`;
}
