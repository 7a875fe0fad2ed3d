// Which of the nodes that would do a task rather goes to: what it is spread over, and what it is drawn to or away from.
import { type AffinityTarget, matchesConstraint, type NodeKey, nodeValue, parseAffinityTarget, parseSpread } from '../constraint/index.ts';
import type { Placement } from '../../proto/index.ts';
import type { Inventory, NodeEntry } from './inventory.ts';

export interface WeightedAffinity {
  readonly target: AffinityTarget;
  /** Below 0: away from it. */
  readonly weight: number;
}

export interface Preferences {
  /** Outermost level first. */
  readonly spread: readonly NodeKey[];
  readonly affinities: readonly WeightedAffinity[];
}

/** What a task of the service that a node already has counts against it, beside the weights of affinities (up to 100). */
export const POINTS_PER_COPY = 10;

export const NO_PREFERENCES: Preferences = { spread: [], affinities: [] };

/** What the API would refuse counts for nothing. */
export function preferencesOf(placement: Placement | undefined): Preferences {
  if (placement === undefined || (placement.spread.length === 0 && placement.affinities.length === 0)) return NO_PREFERENCES;
  return {
    spread: placement.spread.flatMap((text) => {
      const parsed = parseSpread(text);
      return parsed.ok ? [parsed.key] : [];
    }),
    affinities: placement.affinities.flatMap(({ target, weight }) => {
      const parsed = parseAffinityTarget(target);
      return parsed.ok ? [{ target: parsed.target, weight }] : [];
    }),
  };
}

/** Equal texts: equal preferences. */
export function preferencesText({ spread, affinities }: Placement): string {
  return spread.length === 0 && affinities.length === 0
    ? ''
    : JSON.stringify([spread, affinities.map(({ target, weight }) => [target, weight])]);
}

/** The node's branch on a level; nodes without a value are a branch of their own. */
export function branchValue(key: NodeKey, { node, status }: NodeEntry): string {
  return node === undefined ? '' : (nodeValue(key, node, status) ?? '');
}

/** The sum of the weights of all affinities that the node meets. */
export function affinityOf(inventory: Inventory, affinities: readonly WeightedAffinity[], entry: NodeEntry): number {
  let sum = 0;
  for (const { target, weight } of affinities) if (meets(inventory, target, entry)) sum += weight;
  return sum;
}

function meets(inventory: Inventory, target: AffinityTarget, entry: NodeEntry): boolean {
  switch (target.kind) {
    case 'service':
      return inventory.nodesOfService(inventory.serviceIdOf(target.service))?.has(entry) ?? false;
    case 'nodes':
      return entry.node !== undefined && matchesConstraint(target.constraint, entry.node, entry.status);
  }
}

/** Ids of the services that affinities are to, as far as they are there. */
export function affinityServices(inventory: Inventory, affinities: readonly WeightedAffinity[]): readonly string[] {
  return affinities.flatMap(({ target }) => (target.kind === 'service' ? [inventory.serviceIdOf(target.service)] : []));
}
