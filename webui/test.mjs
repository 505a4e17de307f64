// SPDX-License-Identifier: Apache-2.0
// node test.mjs TESTS OUT: checks the types of TESTS/*.test.ts, bundles them into OUT, runs them by node's test runner.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as esbuild from 'esbuild';

const tests = process.argv[2] ?? '../tests/webui';
const out = resolve(process.argv[3] ?? 'dist/tests');
const names = readdirSync(tests).filter((name) => name.endsWith('.test.ts'));
if (names.length === 0) throw new Error(`no *.test.ts in ${tests}`);

const types = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json'], {
  stdio: 'inherit',
});
if (types.status !== 0) process.exit(1);

rmSync(out, { recursive: true, force: true });
await esbuild.build({
  entryPoints: names.map((name) => join(tests, name)),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node18',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  nodePaths: [resolve('node_modules')],
  preserveSymlinks: true,
  sourcemap: 'inline',
  logLevel: 'warning',
});
const files = names.map((name) => join(out, name.replace(/\.ts$/, '.mjs')));
const run = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], { stdio: 'inherit' });
process.exit(run.status ?? 1);
