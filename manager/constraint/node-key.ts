// What of a node constraints and preferences may speak of: `node.role`, `node.labels.zone`.
import { type Node, NodeRole, type NodeStatus } from '../../proto/index.ts';

export type NodeKey =
  | { readonly kind: 'id' | 'hostname' | 'ip' | 'role' | 'os' | 'arch' }
  | { readonly kind: 'nodeLabel' | 'engineLabel'; readonly label: string }
  /** Well formed, but nothing that a node has. */
  | { readonly kind: 'unknown' };

const KINDS: ReadonlyMap<string, NodeKey> = new Map([
  ['node.id', { kind: 'id' }],
  ['node.hostname', { kind: 'hostname' }],
  ['node.ip', { kind: 'ip' }],
  ['node.role', { kind: 'role' }],
  ['node.platform.os', { kind: 'os' }],
  ['node.platform.arch', { kind: 'arch' }],
]);
/** Those without a label in them. */
export const KNOWN_KEYS: readonly string[] = [...KINDS.keys()];
const NODE_LABEL = 'node.labels.';
const ENGINE_LABEL = 'engine.labels.';

/** Names are case-insensitive, labels are not. Undefined: it names no label. */
export function parseNodeKey(name: string): NodeKey | undefined {
  const lower = name.toLowerCase();
  const [prefix, kind] = lower.startsWith(NODE_LABEL)
    ? ([NODE_LABEL, 'nodeLabel'] as const)
    : lower.startsWith(ENGINE_LABEL)
      ? ([ENGINE_LABEL, 'engineLabel'] as const)
      : ['', undefined];
  if (kind === undefined) return KINDS.get(lower) ?? { kind: 'unknown' };
  const label = name.slice(prefix.length);
  return label === '' ? undefined : { kind, label };
}

/** The node's value; undefined: it has none. An address is not one value: see node-match.ts. */
export function nodeValue(key: NodeKey, node: Node, status: NodeStatus | undefined): string | undefined {
  const description = status?.description;
  switch (key.kind) {
    case 'id':
      return node.id;
    case 'hostname':
      return description?.hostname;
    case 'role':
      return node.spec?.role === NodeRole.MANAGER ? 'manager' : 'worker';
    case 'os':
      return description?.platform?.os;
    case 'arch':
      return description?.platform?.arch;
    case 'nodeLabel':
      return labelOf(node.spec?.labels, key.label);
    case 'engineLabel':
      return labelOf(description?.engine?.labels, key.label);
    case 'ip':
    case 'unknown':
      return undefined;
  }
}

function labelOf(labels: Readonly<Record<string, string>> | undefined, label: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;
}
