// Whether a node satisfies a constraint.
import { BlockList, isIP } from 'node:net';
import type { Node, NodeStatus } from '../../proto/index.ts';
import type { Constraint, Term } from './constraint.ts';
import { nodeValue } from './node-key.ts';

/** Docker's and the kernel's names of the same machine. */
const ARCHITECTURES: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64', arm: 'armv7l', '386': 'i686' };

/** One name for each architecture: lower case, the kernel's. */
export function normalArch(arch: string): string {
  const lower = arch.toLowerCase();
  return ARCHITECTURES[lower] ?? lower;
}

/** One alternative is enough. */
export function matchesConstraint({ alternatives }: Constraint, node: Node, status: NodeStatus | undefined): boolean {
  return alternatives.some((term) => matchesTerm(term, node, status));
}

/** A missing value fails ==, in and exists, and passes != and notin; an unknown key fails all (as in Swarm). */
export function matchesTerm(term: Term, node: Node, status: NodeStatus | undefined): boolean {
  if (term.key.kind === 'unknown') return false;
  switch (term.operator) {
    case '==':
    case 'in':
      return equalsOne(term, node, status);
    case '!=':
    case 'notin':
      return !equalsOne(term, node, status);
    case 'exists':
      return exists(term, node, status);
  }
}

/** A label may be there with an empty value; anything else that is empty is not there. */
function exists({ key }: Term, node: Node, status: NodeStatus | undefined): boolean {
  if (key.kind === 'ip') return addressesOf(status).length > 0;
  const value = nodeValue(key, node, status);
  return key.kind === 'nodeLabel' || key.kind === 'engineLabel' ? value !== undefined : value !== undefined && value !== '';
}

function equalsOne({ key, values }: Term, node: Node, status: NodeStatus | undefined): boolean {
  if (key.kind === 'ip') {
    const addresses = addressesOf(status);
    return values.some((range) => addresses.some((address) => contains(range, address)));
  }
  const actual = nodeValue(key, node, status);
  if (actual === undefined || actual === '') return false;
  const normal = key.kind === 'arch' ? normalArch : lowerCase;
  return values.some((value) => normal(value) === normal(actual));
}

function lowerCase(text: string): string {
  return text.toLowerCase();
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
