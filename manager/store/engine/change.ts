// What the engine records: applying the same changes in the same order to the same state gives the same state.
import type { KeyValue, LeaseId, Op, Revision } from '../store.ts';

export type Change =
  | { readonly type: 'commit'; readonly revision: Revision; readonly ops: readonly Op[] }
  | { readonly type: 'grant'; readonly leaseId: LeaseId; readonly ttlMs: number }
  /** Revoked or expired: its keys go, at this revision; 0 when it had none, which makes no revision. */
  | { readonly type: 'end'; readonly leaseId: LeaseId; readonly revision: Revision };

/** A key with what the store knows about it. */
export interface Item extends KeyValue {
  readonly leaseId: LeaseId | undefined;
}

/** The whole state at one revision, for a snapshot file. Not a copy of values: they are never changed in place. */
export interface EngineImage {
  readonly revision: Revision;
  /** Leases are numbered; the next one gets this number. */
  readonly nextLease: number;
  readonly leases: readonly { readonly id: LeaseId; readonly ttlMs: number }[];
  readonly items: readonly Item[];
}
