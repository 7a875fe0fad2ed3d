// The filters of semantics.md, in their order, and what each says when it refuses nodes.
import { failedConstraint, fitsPlatform } from '../constraint/index.ts';
import { hostPortKey } from './demand.ts';
import { hasGeneric } from './generic-pool.ts';
import type { NodeEntry } from './inventory.ts';
import type { Shape } from './shape.ts';

/** In this order the first that refuses a node is the one that counts. */
export const FILTERS = [
  'ready',
  'engine',
  'settled',
  'resources',
  'runtime',
  'plugins',
  'constraints',
  'platform',
  'hostPorts',
  'maxReplicas',
] as const;
export type Filter = (typeof FILTERS)[number];

const PROCESS_RUNTIME = 'process';

/** Which filter refuses the node; undefined: it takes the task. `copies`: active tasks of the service that are there already. */
export function refusal(shape: Shape, entry: NodeEntry, copies: number): Filter | undefined {
  const away = absence(entry);
  if (away !== undefined) return away;
  if (!hasResources(shape, entry)) return 'resources';
  return kindRefusal(shape, entry) ?? roomRefusal(shape, entry, copies);
}

/** Whether the node is of the right kind, whatever else is on it. */
export function isKind(shape: Shape, entry: NodeEntry): boolean {
  return absence(entry) === undefined && kindRefusal(shape, entry) === undefined;
}

/** Nothing new can be had of the node, whatever it is. */
function absence({ usable, unsettled, status }: NodeEntry): Filter | undefined {
  if (!usable) return 'ready';
  if (status?.description?.engine?.trouble !== undefined) return 'engine';
  return unsettled ? 'settled' : undefined;
}

/** Whether a node of the right kind has room. */
export function hasRoom(shape: Shape, entry: NodeEntry, copies: number): boolean {
  return hasResources(shape, entry) && roomRefusal(shape, entry, copies) === undefined;
}

/** What is not asked for is not looked at: a node that is full, or has shrunk, still takes tasks without reservations. */
function hasResources(shape: Shape, entry: NodeEntry): boolean {
  return (
    (shape.nanoCpus === 0 || entry.freeNanoCpus >= shape.nanoCpus) &&
    (shape.memoryBytes === 0 || entry.freeMemoryBytes >= shape.memoryBytes) &&
    (shape.generics.length === 0 || hasGeneric(entry.generics, shape.generics))
  );
}

function kindRefusal(shape: Shape, entry: NodeEntry): Filter | undefined {
  const { node, status } = entry;
  if (node === undefined) return 'ready';
  const engine = status?.description?.engine;
  if ((engine?.runtime === PROCESS_RUNTIME) !== shape.isProcess) return 'runtime';
  if (shape.plugins.length > 0 && !hasPlugins(shape.plugins, engine?.plugins ?? [])) return 'plugins';
  if (failedConstraint(shape.placement, node, status) !== undefined) return 'constraints';
  return fitsPlatform(shape.placement, status) ? undefined : 'platform';
}

/** A node that lists no drivers of a kind says nothing about them: it is let through. */
function hasPlugins(wanted: readonly string[], listed: readonly string[]): boolean {
  return wanted.every((plugin) => {
    const kind = plugin.slice(0, plugin.indexOf('/') + 1);
    return listed.includes(plugin) || !listed.some((other) => other.startsWith(kind));
  });
}

function roomRefusal(shape: Shape, entry: NodeEntry, copies: number): Filter | undefined {
  const { hostPorts } = entry;
  if (hostPorts !== undefined && shape.hostPorts.some((port) => hostPorts.has(hostPortKey(port)))) return 'hostPorts';
  return shape.maxReplicasPerNode > 0 && copies >= shape.maxReplicasPerNode ? 'maxReplicas' : undefined;
}

/** `no suitable node (insufficient resources on 3 nodes; scheduling constraints not satisfied on 2 nodes)`: most frequent first. */
export function explain(refusals: ReadonlyMap<Filter, number>): string {
  const parts = FILTERS.map((filter) => [filter, refusals.get(filter) ?? 0] as const).filter(([, count]) => count > 0);
  if (parts.length === 0) return 'no suitable node (the cluster has no nodes)';
  parts.sort(([, one], [, other]) => other - one);
  return `no suitable node (${parts.map(([filter, count]) => phrase(filter, count === 1 ? '1 node' : `${count} nodes`)).join('; ')})`;
}

function phrase(filter: Filter, nodes: string): string {
  switch (filter) {
    case 'ready':
      return `${nodes} not available for new tasks`;
    case 'engine':
      return `container engine does not answer on ${nodes}`;
    case 'settled':
      return `${nodes} down too often lately, not settled yet`;
    case 'resources':
      return `insufficient resources on ${nodes}`;
    case 'runtime':
      return `no runtime for this image on ${nodes}`;
    case 'plugins':
      return `missing plugin on ${nodes}`;
    case 'constraints':
      return `scheduling constraints not satisfied on ${nodes}`;
    case 'platform':
      return `unsupported platform on ${nodes}`;
    case 'hostPorts':
      return `host-mode port already in use on ${nodes}`;
    case 'maxReplicas':
      return `max replicas per node limit exceeded on ${nodes}`;
  }
}
