// Whether a node satisfies one constraint.
import { BlockList, isIP } from 'node:net';
import { type Node, NodeRole, type NodeStatus } from '../../proto/index.ts';
import type { Constraint } from './constraint.ts';

/** Docker's and the kernel's names of the same machine. */
const ARCHITECTURES: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' };

/** One name for each architecture: lower case, the kernel's. */
export function normalArch(arch: string): string {
  const lower = arch.toLowerCase();
  return ARCHITECTURES[lower] ?? lower;
}

/** A missing value fails == and passes !=; an unknown key fails both. */
export function matchesConstraint(constraint: Constraint, node: Node, status: NodeStatus | undefined): boolean {
  const { key, operator } = constraint;
  if (key.kind === 'unknown') return false;
  return isEqual(constraint, node, status) === (operator === '==');
}

function isEqual({ key, value }: Constraint, node: Node, status: NodeStatus | undefined): boolean {
  const description = status?.description;
  switch (key.kind) {
    case 'id':
      return sameText(node.id, value);
    case 'hostname':
      return sameText(description?.hostname, value);
    case 'ip':
      return addressesOf(status).some((address) => contains(value, address));
    case 'role':
      return sameText(node.spec?.role === NodeRole.MANAGER ? 'manager' : 'worker', value);
    case 'os':
      return sameText(description?.platform?.os, value);
    case 'arch':
      return description?.platform !== undefined && normalArch(description.platform.arch) === normalArch(value);
    case 'nodeLabel':
      return sameText(labelOf(node.spec?.labels, key.label), value);
    case 'engineLabel':
      return sameText(labelOf(description?.engine?.labels, key.label), value);
    case 'unknown':
      return false;
  }
}

function labelOf(labels: Readonly<Record<string, string>> | undefined, label: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function sameText(actual: string | undefined, wanted: string): boolean {
  return actual !== undefined && actual !== '' && actual.toLowerCase() === wanted.toLowerCase();
}

/** Where the session came from, and where the node takes connections: people know a node by either. */
function addressesOf(status: NodeStatus | undefined): readonly string[] {
  const session = status?.address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1');
  return [session, status?.description?.dataAddress].filter((address) => address !== undefined && isIP(address) !== 0) as string[];
}

const RANGES = new Map<string, BlockList>();
const MAX_RANGES = 1000;

function contains(addressOrRange: string, address: string): boolean {
  let range = RANGES.get(addressOrRange);
  if (range === undefined) {
    range = new BlockList();
    const [network = '', prefix] = addressOrRange.split('/');
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) range.addAddress(network, family);
    else range.addSubnet(network, Number(prefix), family);
    if (RANGES.size >= MAX_RANGES) RANGES.clear();
    RANGES.set(addressOrRange, range);
  }
  return range.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
