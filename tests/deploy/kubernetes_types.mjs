// SPDX-License-Identifier: Apache-2.0
// node kubernetes_types.mjs < DOCUMENTS.json: checks Kubernetes documents, a JSON array of {name, document}, against the types of
// @kubernetes/client-node as TypeScript checks literals: what a type does not know, lacks or has otherwise is an error. Prints a line for
// each; exit 1 if there is one.
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const MODELS = '@kubernetes/client-node/dist/gen/models';
const loaded = new Map();

async function model(name) {
  if (!loaded.has(name)) {
    const file = path.resolve('node_modules', MODELS, `${name}.js`);
    loaded.set(name, fs.existsSync(file) ? (await import(file))[name] : undefined);
  }
  return loaded.get(name);
}

// The generator renames members that are words of TypeScript (from: _from); documents have them as they are.
async function renamed(value, type) {
  const inner = /^Array<(.*)>$/.exec(type)?.[1];
  if (inner) return Array.isArray(value) ? Promise.all(value.map((each) => renamed(each, inner))) : value;
  const ofMap = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  const Class = ofMap ? undefined : await model(type);
  if ((!ofMap && !Class?.attributeTypeMap) || typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const out = {};
  for (const [key, each] of Object.entries(value)) {
    const known = Class?.attributeTypeMap.find((attribute) => attribute.baseName === key);
    out[known?.name ?? key] = await renamed(each, ofMap ?? known?.type ?? '');
  }
  return out;
}

async function source(entries) {
  const lines = [`import type * as k from '${MODELS}/all.js';`];
  for (const [index, { name, document }] of entries.entries()) {
    const version = document.apiVersion.split('/').pop();
    const type = version[0].toUpperCase() + version.slice(1) + document.kind;
    if (!(await model(type))) {
      console.log(`${name}: Kubernetes has no ${type}`);
      process.exitCode = 1;
      continue;
    }
    lines.push(`export const x${index}: k.${type} = ${JSON.stringify(await renamed(document, type), null, 1)};`, `// end ${index}`);
  }
  return lines.join('\n');
}

const entries = JSON.parse(fs.readFileSync(0, 'utf8'));
const text = await source(entries);
const GENERATED = path.resolve('generated.ts');
fs.writeFileSync(GENERATED, text);
const program = ts.createProgram([GENERATED], {
  strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [],
});
for (const problem of ts.getPreEmitDiagnostics(program)) {
  const end = problem.file?.fileName === GENERATED ? /\/\/ end (\d+)/.exec(text.slice(problem.start)) : null;
  console.log(`${end ? entries[Number(end[1])].name : 'TypeScript'}: ${ts.flattenDiagnosticMessageText(problem.messageText, ' ').slice(0, 300)}`);
  process.exitCode = 1;
}
