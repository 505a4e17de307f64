// SPDX-License-Identifier: Apache-2.0
// node build.mjs OUT: bundles the page into OUT/www and writes OUT/assets_table.cpp, which embeds it.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';
import { writeSamples } from './samples/generate.mjs';

const out = resolve(process.argv[2] ?? 'dist');
const www = join(out, 'www');
const samples = join(out, 'samples');

const mediaTypes = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
};

// `import url from 'sample:fog.png'` is the address of a generated picture.
const samplePlugin = {
  name: 'sample',
  setup(build) {
    build.onResolve({ filter: /^sample:/ }, (args) => ({ path: join(samples, args.path.slice('sample:'.length)) }));
  },
};

async function bundle() {
  const result = await esbuild.build({
    entryPoints: { app: 'src/main.tsx', icon: 'src/icon.svg' },
    outdir: join(www, 'assets'),
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    publicPath: '/assets',
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2021',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    preserveSymlinks: true,
    loader: { '.png': 'file', '.svg': 'copy' },
    plugins: [samplePlugin],
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  return Object.keys(result.metafile.outputs).map((path) => '/assets/' + path.split('/').pop());
}

function writeIndex(urls) {
  const one = (pattern) => {
    const found = urls.filter((url) => pattern.test(url));
    if (found.length !== 1) throw new Error(`expected one output like ${pattern}, have ${urls.join(' ')}`);
    return found[0];
  };
  const page = readFileSync('src/index.html', 'utf8')
    .replace('{{script}}', one(/\/app-[^/]+\.js$/))
    .replace('{{style}}', one(/\/app-[^/]+\.css$/))
    .replace('{{icon}}', one(/\/icon-[^/]+\.svg$/));
  writeFileSync(join(www, 'index.html'), page);
}

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 32);
const quoted = (text) => JSON.stringify(text);

// One blob in the object file: both forms (plain and gzip) of each asset, found by offset.
function collect(path, file, immutable, blobs) {
  const bytes = readFileSync(file);
  const packed = gzipSync(bytes, { level: 9 });
  const gzip = packed.length < bytes.length * 0.9 ? packed : Buffer.alloc(0);
  const offset = blobs.reduce((sum, blob) => sum + blob.length, 0);
  blobs.push(bytes, gzip);
  const etag = `"${digest(bytes)}"`;
  const gzipEtag = gzip.length > 0 ? `"${digest(bytes)}-gz"` : '';
  const mediaType = mediaTypes[file.split('.').pop()];
  const view = (from, size) => (size > 0 ? `{k_blob + ${from}, ${size}}` : '{}');
  return `    {.path = ${quoted(path)},
     .media_type = ${quoted(mediaType)},
     .etag = ${quoted(etag)},
     .gzip_etag = ${quoted(gzipEtag)},
     .bytes = ${view(offset, bytes.length)},
     .gzip = ${view(offset + bytes.length, gzip.length)},
     .immutable = ${immutable}},`;
}

function writeTable() {
  const blobs = [];
  const rows = [collect('/', join(www, 'index.html'), false, blobs)];
  for (const name of readdirSync(join(www, 'assets')).sort()) {
    rows.push(collect('/assets/' + name, join(www, 'assets', name), true, blobs));
  }
  const blob = join(out, 'assets.bin');
  writeFileSync(blob, Buffer.concat(blobs));
  writeFileSync(join(out, 'assets_table.cpp'), `// SPDX-License-Identifier: Apache-2.0
// Written by webui/build.mjs. Contents: ${digest(Buffer.concat(blobs))}
#include "webui/assets.hpp"

asm(".pushsection .rodata\\n"
    ".balign 16\\n"
    "histod_webui_blob:\\n"
    ".incbin ${quoted(blob).replaceAll('"', '\\"')}\\n"
    ".popsection\\n");
extern "C" const std::byte k_blob[] asm("histod_webui_blob");

namespace histod::webui {

std::span<const Asset> assets() {
  static const Asset k_assets[] = {
${rows.join('\n')}
  };
  return k_assets;
}

bool has_dashboard() { return true; }

}  // namespace histod::webui
`);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(samples, { recursive: true });
writeSamples(samples);
writeIndex(await bundle());
writeTable();
