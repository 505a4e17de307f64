// SPDX-License-Identifier: Apache-2.0
// An image that the reader chose, and how to show it as it is.
import { decode_netpbm, type Picture } from './netpbm';
import { browser_shows, sniff, type Format } from './sniff';

export interface Input {
  blob: Blob;
  filename: string;
  format: Format;
  before_url: string | null;  // an object URL; null when the browser cannot show this format
}

function to_png(picture: Picture): Promise<Blob | null> {
  const canvas = document.createElement('canvas');
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext('2d');
  if (!context) return Promise.resolve(null);
  const pixels = context.createImageData(picture.width, picture.height);
  pixels.data.set(picture.rgba);
  context.putImageData(pixels, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

// The same picture in a format that an <img> shows; null when it cannot be made here.
export async function viewable(blob: Blob, format: Format): Promise<Blob | null> {
  if (browser_shows(format)) return blob.slice(0, blob.size, `image/${format}`);
  if (format !== 'pgm' && format !== 'ppm' && format !== 'pam') return null;
  const picture = decode_netpbm(new Uint8Array(await blob.arrayBuffer()));
  return picture && to_png(picture);
}

export async function read_input(blob: Blob, filename: string): Promise<Input> {
  const format = sniff(new Uint8Array(await blob.slice(0, 16).arrayBuffer()));
  const shown = await viewable(blob, format);
  return { blob, filename, format, before_url: shown && URL.createObjectURL(shown) };
}

export function release_input(input: Input | null): void {
  if (input?.before_url) URL.revokeObjectURL(input.before_url);
}
