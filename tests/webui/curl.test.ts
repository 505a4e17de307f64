// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { curl_command, shell_quote } from '../../webui/src/curl';

// What a real shell makes of the words: each on a line of its own, between brackets.
function words(command: string): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
  const run = spawnSync('/bin/sh', ['-c', script], { env: { HISTOD_TOKEN: 'from-the-shell' }, encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.split('\0').slice(0, -1);
}

test('the command is one call of curl with the options, the file and the token of the shell', () => {
  assert.deepEqual(words(curl_command('http://127.0.0.1:8080', 'rule=exact&color=luma', 'in.png', 'out.png')), [
    '--fail-with-body', '-H', 'Authorization: Bearer from-the-shell', '-H', 'Content-Type: application/octet-stream',
    '--data-binary', '@in.png', '-o', 'out.png', 'http://127.0.0.1:8080/v1/equalize?rule=exact&color=luma',
  ]);
});

test('names of files cannot break out of their quotes', () => {
  for (const name of ["it's", '$(touch x)', '`id`', 'a b', '"', '\\', "''';#", 'a\nb', '$HISTOD_TOKEN', '!x', '*']) {
    const all = words(curl_command('http://h', 'a=1', name, name));
    assert.equal(all[6], `@${name}`);
    assert.equal(all[8], name);
    assert.equal(all.length, 10);
  }
});

test('a result whose name begins with a dash is no option', () => {
  assert.equal(words(curl_command('http://h', 'a=1', '-x.png', '-x_equalized.png'))[8], './-x_equalized.png');
});

test('shell_quote of nothing is an empty word', () => {
  assert.equal(shell_quote(''), "''");
});
