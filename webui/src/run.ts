// SPDX-License-Identifier: Apache-2.0
// One run of the page: equalize, preview, count before and after.
import { post_equalize, post_histogram, type Answer, type Image } from './api';
import type { Counts } from './histogram';
import { viewable, type Input } from './input';
import { equalize_query, histogram_query, type Options } from './options';
import type { Problem } from './problem';
import { parse_server_timing, type Timing } from './server_timing';
import { format_of_media_type, result_filename, type Format } from './sniff';

export interface Result {
  input: Input;
  options: Options;
  blob: Blob;
  format: Format;
  filename: string;
  digest: string;
  timing: Timing | null;
  preview_url: string | null;
  preview_problem: Problem | null;
  image: Image;  // as it came
}

export interface RunEvents {
  sent(sent: number, total: number): void;
  equalized(result: Result): void;
  counted(before: Answer<Counts>, after: Answer<Counts>): void;
  failed(problem: Problem): void;
}

// What is counted before depends on the file, the rule and the colour: the last answer is kept.
let counted: { blob: Blob; query: string; answer: Answer<Counts> } | null = null;

async function count_before(input: Input, options: Options, token: string, signal: AbortSignal): Promise<Answer<Counts>> {
  const query = histogram_query(options);
  if (counted?.blob === input.blob && counted.query === query && counted.answer.ok) return counted.answer;
  const answer = await post_histogram(query, { token, body: input.blob, signal });
  counted = { blob: input.blob, query, answer };
  return answer;
}

interface Preview {
  url: string | null;
  problem: Problem | null;
}

// A format that can be shown neither by the browser nor by the page is asked for once more, as PNG.
async function preview(image: Image, input: Input, options: Options, token: string, signal: AbortSignal): Promise<Preview> {
  const shown = await viewable(image.blob, format_of_media_type(image.media_type));
  if (shown) return { url: URL.createObjectURL(shown), problem: null };
  const answer = await post_equalize(equalize_query(options, 'png'), { token, body: input.blob, signal });
  if (!answer.ok) return { url: null, problem: answer.problem };
  return { url: URL.createObjectURL(answer.value.blob), problem: null };
}

// `known`: what these options made of this input before.
export async function run(input: Input, options: Options, token: string, signal: AbortSignal, events: RunEvents, known: Image | null) {
  const image: Answer<Image> = known
    ? { ok: true, value: known }
    : await post_equalize(equalize_query(options), { token, body: input.blob, signal, on_sent: events.sent });
  if (!image.ok) return events.failed(image.problem);
  const { blob, media_type, digest, server_timing } = image.value;
  const { url, problem } = await preview(image.value, input, options, token, signal);
  if (signal.aborted) return;
  const format = format_of_media_type(media_type);
  events.equalized({
    input,
    options,
    blob,
    format,
    filename: result_filename(input.filename, format),
    digest,
    timing: parse_server_timing(server_timing),
    preview_url: url,
    preview_problem: problem,
    image: image.value,
  });
  // Measured on the result itself, not computed from the table.
  const query = histogram_query(options);
  const [before, after] = await Promise.all([
    count_before(input, options, token, signal),
    post_histogram(query, { token, body: blob, signal }),
  ]);
  events.counted(before, after);
}

export function release_result(result: Result | null): void {
  if (result?.preview_url) URL.revokeObjectURL(result.preview_url);
}
