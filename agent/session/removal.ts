// Whether a manager's word that nodes were removed may be acted on: tasks are stopped for it, so it must be of the very history that this node
// follows, and no older than what was applied (I8).
import type { Epoch, NodeRemoved } from '../../proto/index.ts';
import { describeEpoch, refusalOf } from './epochs.ts';
import type { NodeIdentity } from './node-identity.ts';

export interface AppliedEpochs {
  readonly assignments: Epoch | undefined;
  readonly routes: Epoch | undefined;
}

/** Why it is not acted on, or undefined where it is. */
export function removalRefusal(removed: NodeRemoved, who: NodeIdentity | undefined, applied: AppliedEpochs): string | undefined {
  if (who === undefined) return 'this agent has not joined a cluster yet';
  if (removed.nodeId !== who.nodeId) return `it is about node ${removed.nodeId}, this is ${who.nodeId}`;
  return fateRefusal(removed.epoch, who.clusterId, applied);
}

/** The same of what is said about other nodes, by the epoch that it carries. */
export function fateRefusal(said: Epoch | undefined, clusterId: string, applied: AppliedEpochs): string | undefined {
  const { assignments, routes } = applied;
  if (assignments === undefined) return 'no assignments were ever applied here, so its history cannot be told from another';
  if (said !== undefined && said.clusterId === clusterId && said.incarnationNumber > assignments.incarnationNumber)
    return `it is of a newer history, ${describeEpoch(said)}, than the one followed here, ${describeEpoch(assignments)}`;
  return refusalOf(said, assignments, clusterId) ?? refusalOf(said, routes, clusterId);
}
