// Constraints that are well formed and will never let a task run, for their key is nothing that nodes have.
import { suggest } from '../../lib/suggest.ts';
import { parseConstraint } from './constraint.ts';
import { KNOWN_KEYS } from './node-key.ts';

/** For people; undefined: nodes may satisfy it, or it is malformed. */
export function unknownKeyWarning(text: string): string | undefined {
  const parsed = parseConstraint(text);
  if (!parsed.ok || parsed.constraint.alternatives.some(({ key }) => key.kind !== 'unknown')) return undefined;
  const key = /[a-z_][a-z0-9_.\-/]*/i.exec(text)?.[0] ?? '';
  return `the constraint ${text} matches no node: nodes have no "${key}"; ${wayOut(key)}`;
}

function wayOut(key: string): string {
  const [, scope = '', kind = '', label = ''] = /^(\w+)\.(\w+)\.(.+)$/.exec(key) ?? [];
  const owner = suggest(scope.toLowerCase(), ['node', 'engine']);
  const isLabel = owner !== undefined && suggest(kind.toLowerCase(), ['labels']) !== undefined;
  const near = isLabel ? `${owner}.labels.${label}` : suggest(key.toLowerCase(), KNOWN_KEYS);
  return near === undefined ? `known are ${KNOWN_KEYS.join(', ')}, node.labels.KEY and engine.labels.KEY` : `did you mean ${near}?`;
}
