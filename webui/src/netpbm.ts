// SPDX-License-Identifier: Apache-2.0
// PGM, PPM (P2 P3 P5 P6) and PAM (P7) to 8-bit RGBA, for the "before" picture: browsers do not show these formats.

export interface Picture {
  width: number;
  height: number;
  rgba: Uint8ClampedArray;
}

interface Header {
  width: number;
  height: number;
  channels: number;
  max: number;
  plain: boolean;  // samples as decimal text
  offset: number;  // of the first sample
}

// Four bytes each, twice: more is not worth a preview.
export const k_max_preview_pixels = 50e6;

const is_space = (code: number) => code === 32 || (code >= 9 && code <= 13);
const is_digit = (code: number) => code >= 48 && code <= 57;
const k_hash = 35;

// Reads numbers separated by white space and comments, as P2 P3 P5 P6 have them.
class Words {
  constructor(private readonly text: string, public at: number) {}

  // NaN at the end, at anything that is no number, and at ten digits or more.
  next(): number {
    this.skip_gap();
    const start = this.at;
    while (is_digit(this.text.charCodeAt(this.at))) this.at++;
    return this.at > start && this.at - start < 10 ? Number(this.text.slice(start, this.at)) : NaN;
  }

  private skip_gap(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code === k_hash) this.skip_comment();
      else if (is_space(code)) this.at++;
      else return;
    }
  }

  private skip_comment(): void {
    const end = this.text.indexOf('\n', this.at);
    this.at = end < 0 ? this.text.length : end + 1;
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

function pnm_header(bytes: Uint8Array): Header | null {
  const text = latin1(bytes.subarray(0, 65536));
  const kind = text.charAt(1);
  const words = new Words(text, 2);
  const [width, height, max] = [words.next(), words.next(), words.next()];
  const channels = kind === '3' || kind === '6' ? 3 : 1;
  return { width, height, channels, max, plain: kind < '4', offset: words.at + 1 };
}

function pam_header(bytes: Uint8Array): Header | null {
  const text = latin1(bytes.subarray(0, 65536));
  const end = /(?:^|\n)ENDHDR[ \t\r]*\n/.exec(text);
  if (!end) return null;
  const offset = end.index + end[0].length;
  const field = (name: string) => Number(new RegExp(`\\n${name}[ \\t]+(\\d{1,9})\\s`).exec(text.slice(0, offset))?.[1] ?? NaN);
  const [width, height, channels, max] = [field('WIDTH'), field('HEIGHT'), field('DEPTH'), field('MAXVAL')];
  return { width, height, channels, max, plain: false, offset };
}

function is_sound({ width, height, channels, max }: Header): boolean {
  return width > 0 && height > 0 && width * height <= k_max_preview_pixels && channels >= 1 && channels <= 4 && max >= 1 &&
    max <= 65535;
}

function binary_sample(bytes: Uint8Array, header: Header): ((i: number) => number) | null {
  const wide = header.max > 255;
  const count = header.width * header.height * header.channels;
  const body = bytes.subarray(header.offset);
  if (body.length < count * (wide ? 2 : 1)) return null;
  return wide ? (i) => (body[2 * i]! << 8) | body[2 * i + 1]! : (i) => body[i]!;
}

function plain_sample(bytes: Uint8Array, header: Header): ((i: number) => number) | null {
  const words = new Words(latin1(bytes), header.offset - 1);
  const samples = new Uint16Array(header.width * header.height * header.channels);
  if (bytes.length < samples.length) return null;
  for (let i = 0; i < samples.length; i++) {
    const value = words.next();
    if (Number.isNaN(value)) return null;
    samples[i] = Math.min(value, header.max);
  }
  return (i) => samples[i]!;
}

// Null when the bytes are none of these formats, are cut short or are larger than a canvas may be.
export function decode_netpbm(bytes: Uint8Array): Picture | null {
  const magic = latin1(bytes.subarray(0, 2));
  if (!/^P[23567]$/.test(magic)) return null;
  const header = magic === 'P7' ? pam_header(bytes) : pnm_header(bytes);
  if (!header || !is_sound(header)) return null;
  const sample = header.plain ? plain_sample(bytes, header) : binary_sample(bytes, header);
  return sample ? to_rgba(header, sample) : null;
}

function to_rgba(header: Header, sample: (i: number) => number): Picture {
  const { width, height, channels, max } = header;
  const rgba = new Uint8ClampedArray(4 * width * height);
  const colored = channels >= 3;
  const alpha = channels % 2 === 0;
  for (let i = 0; i < width * height; i++) {
    const at = (c: number) => (sample(i * channels + c) * 255) / max;
    rgba[4 * i] = at(0);
    rgba[4 * i + 1] = at(colored ? 1 : 0);
    rgba[4 * i + 2] = at(colored ? 2 : 0);
    rgba[4 * i + 3] = alpha ? at(channels - 1) : 255;
  }
  return { width, height, rgba };
}
