// Runs in the thread of Node's module hooks: gives the files of a broken variant in their changed form.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

let files = new Map();

export function initialize({ root, patches }) {
  files = new Map();
  for (const patch of patches) {
    const url = new URL(patch.file, root).href;
    files.set(url, [...(files.get(url) ?? []), patch]);
  }
}

export async function load(url, context, nextLoad) {
  const patches = files.get(url.split('?')[0]);
  if (patches === undefined) return nextLoad(url, context);
  let source = readFileSync(fileURLToPath(url.split('?')[0]), 'utf8');
  for (const { file, from, to } of patches) {
    if (source.split(from).length !== 2) throw new Error(`a broken variant no longer fits: ${file} does not have exactly one "${from}"`);
    source = source.replace(from, () => to);
  }
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, rewriteRelativeImportExtensions: false };
  return { format: 'module', source: ts.transpileModule(source, { compilerOptions: options }).outputText, shortCircuit: true };
}
