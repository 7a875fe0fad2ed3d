// Which state may replace which: an agent never acts on one older than what it applied, nor on another cluster's (I8).
import type { Epoch } from '../../proto/index.ts';

/** `next` as seen from `held`; "forked" is a history of equal rank that is not the one held. */
export type EpochOrder = 'same' | 'newer' | 'older' | 'foreign' | 'forked';

export function orderOf(next: Epoch, held: Epoch | undefined, clusterId: string): EpochOrder {
  if (next.clusterId !== clusterId) return 'foreign';
  if (held === undefined) return 'newer';
  if (held.clusterId !== clusterId) return 'foreign';
  if (next.incarnationNumber !== held.incarnationNumber) return next.incarnationNumber > held.incarnationNumber ? 'newer' : 'older';
  if (next.incarnation !== held.incarnation) return 'forked';
  if (next.revision === held.revision) return 'same';
  return next.revision > held.revision ? 'newer' : 'older';
}

export function sameEpoch(a: Epoch | undefined, b: Epoch | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.clusterId === b.clusterId &&
    a.incarnation === b.incarnation &&
    a.incarnationNumber === b.incarnationNumber &&
    a.revision === b.revision
  );
}

/** "7 of incarnation 1 (k3j...)": for logs. */
export function describeEpoch(epoch: Epoch | undefined): string {
  if (epoch === undefined) return 'none';
  return `${String(epoch.revision)} of incarnation ${String(epoch.incarnationNumber)} (${epoch.incarnation})`;
}

/** Why a state at `next` is refused, or undefined where it may be applied. */
export function refusalOf(next: Epoch | undefined, held: Epoch | undefined, clusterId: string): string | undefined {
  if (next === undefined) return 'it carries no epoch';
  switch (orderOf(next, held, clusterId)) {
    case 'same':
    case 'newer':
      return undefined;
    case 'older':
      return `its epoch ${describeEpoch(next)} is older than ${describeEpoch(held)}, which was applied already`;
    case 'foreign':
      return `it is of cluster ${next.clusterId}, this node belongs to ${clusterId}`;
    case 'forked':
      return `its history ${describeEpoch(next)} is not the one followed here, ${describeEpoch(held)}, and has no higher number`;
  }
}
