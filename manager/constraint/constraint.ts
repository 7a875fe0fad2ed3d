// Placement constraints as people write them: `node.labels.ssd==true`, `node.role!=manager`. Parsed here for everyone: the API refuses what is
// malformed, the scheduler filters by it, the orchestrator finds tasks whose node no longer fits.
import { isIP } from 'node:net';
import { suggest } from '../../lib/suggest.ts';

export type ConstraintKey =
  | { readonly kind: 'id' | 'hostname' | 'ip' | 'role' | 'os' | 'arch' }
  | { readonly kind: 'nodeLabel' | 'engineLabel'; readonly label: string }
  /** Well formed, but nothing that a node has: matches no node, whatever the operator (as in Swarm). */
  | { readonly kind: 'unknown' };

export interface Constraint {
  readonly text: string;
  readonly key: ConstraintKey;
  readonly operator: '==' | '!=';
  /** As written, without the blanks around it. */
  readonly value: string;
}

export type ParsedConstraint = { readonly ok: true; readonly constraint: Constraint } | { readonly ok: false; readonly problem: string };

const KINDS: ReadonlyMap<string, ConstraintKey> = new Map([
  ['node.id', { kind: 'id' }],
  ['node.hostname', { kind: 'hostname' }],
  ['node.ip', { kind: 'ip' }],
  ['node.role', { kind: 'role' }],
  ['node.platform.os', { kind: 'os' }],
  ['node.platform.arch', { kind: 'arch' }],
]);
const NODE_LABEL = 'node.labels.';
const ENGINE_LABEL = 'engine.labels.';
const KEY = /^[a-z_][a-z0-9_.\-/]*$/i;
const MAX_LENGTH = 512;

/** `problem` says what is wrong with the text and how it should look. */
export function parseConstraint(text: string): ParsedConstraint {
  if (text.length > MAX_LENGTH) return refuse(`is longer than ${MAX_LENGTH} characters`);
  const split = /^([^=!]*)(==|!=)([^]*)$/.exec(text);
  if (split === null) return refuse(`"${text}" has no operator; write key==value or key!=value`);
  const [, rawKey = '', operator = '', rawValue = ''] = split;
  const name = rawKey.trim();
  const value = rawValue.trim();
  if (name === '') return refuse(`"${text}" has no key before ${operator}, e.g. node.labels.zone`);
  if (!KEY.test(name)) return refuse(`"${name}" is not a key: letters, digits and _ . - / are allowed`);
  if (value === '') return refuse(`"${text}" has no value after ${operator}`);
  if (/\p{Cc}/u.test(value)) return refuse(`the value of "${name}" holds control characters`);
  const key = keyOf(name);
  if (key.kind === 'ip' && !isAddressOrRange(value)) return refuse(`"${value}" is neither an IP address nor a range such as 10.0.0.0/8`);
  if ((key.kind === 'nodeLabel' || key.kind === 'engineLabel') && key.label === '') return refuse(`"${name}" names no label`);
  return { ok: true, constraint: { text, key, operator: operator === '==' ? '==' : '!=', value } };
}

function refuse(problem: string): ParsedConstraint {
  return { ok: false, problem };
}

/** Names are case-insensitive, labels are not. */
function keyOf(name: string): ConstraintKey {
  const lower = name.toLowerCase();
  if (lower.startsWith(NODE_LABEL)) return { kind: 'nodeLabel', label: name.slice(NODE_LABEL.length) };
  if (lower.startsWith(ENGINE_LABEL)) return { kind: 'engineLabel', label: name.slice(ENGINE_LABEL.length) };
  return KINDS.get(lower) ?? { kind: 'unknown' };
}

function isAddressOrRange(value: string): boolean {
  const [address = '', prefix, ...rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** For people: that a well-formed constraint names nothing that nodes have, so that no node will ever satisfy it. Undefined: it does. */
export function unknownKeyWarning(text: string): string | undefined {
  const parsed = parseConstraint(text);
  if (!parsed.ok || parsed.constraint.key.kind !== 'unknown') return undefined;
  const [name = ''] = text.split(/[=!]/);
  const key = name.trim();
  return `the constraint ${text} matches no node: nodes have no "${key}"; ${wayOut(key)}`;
}

function wayOut(key: string): string {
  const [, scope = '', kind = '', label = ''] = /^(\w+)\.(\w+)\.(.+)$/.exec(key) ?? [];
  const owner = suggest(scope.toLowerCase(), ['node', 'engine']);
  const isLabel = owner !== undefined && suggest(kind.toLowerCase(), ['labels']) !== undefined;
  const near = isLabel ? `${owner}.labels.${label}` : suggest(key.toLowerCase(), [...KINDS.keys()]);
  return near === undefined
    ? `known are ${[...KINDS.keys()].join(', ')}, ${NODE_LABEL}KEY and ${ENGINE_LABEL}KEY`
    : `did you mean ${near}?`;
}
