// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';
import { curl_command } from '../curl';
import type { Input } from '../input';
import { equalize_query, option_errors, type Options } from '../options';
import type { Result } from '../run';
import { result_filename } from '../sniff';
import { bytes_text } from '../text';
import { CopyButton } from './copy_button';

interface Props {
  input: Input;
  options: Options;
  result: Result | null;
  busy: boolean;
}

function use_object_url(blob: Blob | null): string | null {
  const [url, set_url] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) return set_url(null);
    const made = URL.createObjectURL(blob);
    set_url(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}

export function Actions({ input, options, result, busy }: Props) {
  const url = use_object_url(result?.blob ?? null);
  const ready = result !== null && url !== null && !busy;
  const output = result_filename(input.filename, (options.format || input.format) as Result['format']);
  const command = curl_command(location.origin, equalize_query(options), input.filename, output);
  const valid = Object.keys(option_errors(options)).length === 0;
  return (
    <div class="actions">
      {ready
        ? <a class="button primary" href={url} download={result.filename}>Download</a>
        : <button type="button" class="primary" disabled>Download</button>}
      {valid ? <CopyButton text={command} label="Copy curl command" /> : <button type="button" disabled>Copy curl command</button>}
      <p class="help file-name">{ready ? `${result.filename}, ${bytes_text(result.blob.size)}` : '\u00a0'}</p>
    </div>
  );
}
