// Placement preferences as people write them: spread over the values of a node's key; affinity to a service, or to what a constraint says of nodes.
import { type Constraint, parseConstraint } from './constraint.ts';
import { type NodeKey, parseNodeKey } from './node-key.ts';

export type AffinityTarget =
  /** By name or full id; one that is not there is near to no node. */
  { readonly kind: 'service'; readonly service: string } | { readonly kind: 'nodes'; readonly constraint: Constraint };

export type ParsedTarget = { readonly ok: true; readonly target: AffinityTarget } | { readonly ok: false; readonly problem: string };

const SERVICE = 'service:';
const SERVICE_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** `problem` says what is wrong and how it should look. */
export function parseAffinityTarget(text: string): ParsedTarget {
  if (text.startsWith(SERVICE)) {
    const service = text.slice(SERVICE.length).trim();
    if (SERVICE_NAME.test(service)) return { ok: true, target: { kind: 'service', service } };
    return { ok: false, problem: `"${text}" names no service; write service:NAME` };
  }
  const parsed = parseConstraint(text);
  if (!parsed.ok)
    return { ok: false, problem: `${parsed.problem}; an affinity is to service:NAME or to a constraint such as node.labels.disk==ssd` };
  return { ok: true, target: { kind: 'nodes', constraint: parsed.constraint } };
}

const KEY = /^[a-z_][a-z0-9_.\-/]*$/i;

export type ParsedSpread = { readonly ok: true; readonly key: NodeKey } | { readonly ok: false; readonly problem: string };

/** Keys with one value for each node: labels, and all that a constraint knows but addresses. */
export function parseSpread(text: string): ParsedSpread {
  const key = KEY.test(text) ? parseNodeKey(text) : undefined;
  if (key !== undefined && key.kind !== 'unknown' && key.kind !== 'ip') return { ok: true, key };
  return { ok: false, problem: `"${text}" is nothing to spread over; write node.labels.NAME or engine.labels.NAME` };
}
