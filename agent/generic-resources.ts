// `--generic-resource`: what a node has beside CPUs and memory, as Docker's node-generic-resources: "gpu=2" (one is as good as another), or
// "gpu=UUID1" once for each (tasks get some by name).
import type { GenericResource } from '../proto/index.ts';
import type { Wrong } from './options.ts';

const FLAG = '--generic-resource';
const KIND = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
const NAME = /^[^\s,=]{1,128}$/;
const MAX_COUNT = 1_000_000;
const MAX_NAMES = 1000;

/** One for each kind; several may stand in one flag, separated by commas. */
export function genericResourcesOf(texts: readonly string[], wrong: Wrong): readonly GenericResource[] {
  const byKind = new Map<string, GenericResource>();
  for (const text of texts.flatMap((flag) => flag.split(','))) {
    const at = text.indexOf('=');
    const [kind, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
    if (at === -1 || !KIND.test(kind) || !NAME.test(value)) {
      wrong(FLAG, `"${text}" is not KIND=COUNT or KIND=NAME, such as gpu=2 or gpu=UUID1`);
      continue;
    }
    const before = byKind.get(kind);
    const after = withMore(before, kind, value);
    if (typeof after === 'string') wrong(FLAG, `"${text}": ${after}`);
    else byKind.set(kind, after);
  }
  return [...byKind.values()];
}

function withMore(before: GenericResource | undefined, kind: string, value: string): GenericResource | string {
  if (/^\d+$/.test(value)) {
    const count = Number(value);
    if (count > MAX_COUNT) return `at most ${MAX_COUNT} are taken`;
    if (before === undefined) return { kind, count, names: [] };
    return before.names.length > 0 ? `${kind} cannot be both counted and named` : `${kind} is counted twice`;
  }
  const names = before?.names ?? [];
  if (before !== undefined && names.length === 0) return `${kind} cannot be both counted and named`;
  if (names.includes(value)) return `${value} is named twice`;
  if (names.length >= MAX_NAMES) return `at most ${MAX_NAMES} names are taken`;
  return { kind, count: names.length + 1, names: [...names, value] };
}
