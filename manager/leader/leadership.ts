// Proof of being the leader: the create revision of the `leader` key, compared in every transaction, and a signal for its end.
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import type { ClusterState, TransactionBuilder } from '../state/index.ts';
import type { Lease, Revision, Store } from '../store/store.ts';

export interface Leadership {
  readonly createRevision: Revision;
  /** Aborted when the lease is lost, or somebody else is seen to lead. */
  readonly ended: AbortSignal;
  /** Adds the fence. Throws `failed_precondition` when the lease may have run out already. */
  fence(builder: TransactionBuilder): TransactionBuilder;
}

/** What everything that a leader does is given. */
export interface LeadOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly leadership: Leadership;
}

export function leadershipOf(lease: Lease, createRevision: Revision, ended: AbortSignal, clock: Clock): Leadership {
  return {
    createRevision,
    ended,
    fence(builder) {
      if (ended.aborted || clock.nowMs() >= lease.deadlineMs) {
        throw new ShoalError('failed_precondition', 'this manager is no longer the leader');
      }
      return builder.fence('leader', '', createRevision);
    },
  };
}
