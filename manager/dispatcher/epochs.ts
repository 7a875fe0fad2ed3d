// Names of states, and which of them this manager may follow up on: an agent never hears of something older than it has applied.
import { ShoalError } from '../../lib/errors.ts';
import type { Cluster, Epoch } from '../../proto/index.ts';
import type { Revision } from '../store/store.ts';

export function epochAt(cluster: Cluster, revision: Revision): Epoch {
  return { clusterId: cluster.id, incarnation: cluster.incarnation, incarnationNumber: cluster.incarnationNumber, revision };
}

export function sameHistory(cluster: Cluster, epoch: Epoch): boolean {
  return (
    epoch.clusterId === cluster.id && epoch.incarnation === cluster.incarnation && epoch.incarnationNumber === cluster.incarnationNumber
  );
}

/**
 * The revision that this manager's state must have reached before it sends anything to an agent that applied `applied`.
 * Throws `failed_precondition` for another cluster or a forked history, `unavailable` where this manager's store is of an older incarnation.
 */
export function catchUpRevision(cluster: Cluster, applied: readonly (Epoch | undefined)[]): Revision {
  let revision = 0;
  for (const epoch of applied) {
    if (epoch === undefined) continue;
    if (epoch.clusterId !== cluster.id) throw wrongCluster(epoch.clusterId, cluster.id);
    if (epoch.incarnationNumber < cluster.incarnationNumber) continue;
    if (epoch.incarnationNumber > cluster.incarnationNumber) {
      throw new ShoalError(
        'unavailable',
        `this manager's store is older than what the node has applied (incarnation ${cluster.incarnationNumber}, the node has ${epoch.incarnationNumber}); try another manager`,
      );
    }
    if (epoch.incarnation !== cluster.incarnation) {
      throw new ShoalError(
        'failed_precondition',
        `the node has applied another history of this cluster (incarnation ${epoch.incarnation}, here it is ${cluster.incarnation}, both number ${cluster.incarnationNumber}); the one to keep needs a higher number`,
      );
    }
    revision = Math.max(revision, epoch.revision);
  }
  return revision;
}

export function wrongCluster(theirs: string, ours: string): ShoalError {
  return new ShoalError(
    'failed_precondition',
    `this node belongs to cluster ${theirs}, this manager to ${ours}; point the agent to a manager of its own cluster, or let it join this one with an empty data folder`,
  );
}
