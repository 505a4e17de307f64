// SPDX-License-Identifier: Apache-2.0

// For a POSIX shell: nothing inside is special to it.
export const shell_quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const not_an_option = (filename: string) => (filename.startsWith('-') ? `./${filename}` : filename);

// The command that does what the page just did. The token stays in the reader's shell.
export function curl_command(origin: string, query: string, input: string, output: string): string {
  return [
    'curl --fail-with-body',
    '-H "Authorization: Bearer $HISTOD_TOKEN"',
    "-H 'Content-Type: application/octet-stream'",
    `--data-binary ${shell_quote('@' + input)}`,
    `-o ${shell_quote(not_an_option(output))}`,
    shell_quote(`${origin}/v1/equalize?${query}`),
  ].join(' \\\n  ');
}
