// The only way to durable state. Two drivers implement it: etcd and embedded; one conformance suite holds both to this contract.
// Keys are relative to the driver's own prefix ("services/abc"); values are bytes.

/** Ordered by the store; each committed transaction has one. Never issued twice, also across restarts. */
export type Revision = number;

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
}

export type Compare =
  /** The key was last written at this revision; 0: it does not exist. */
  | { readonly key: string; readonly modRevision: Revision }
  /** The key's present life began at this revision (fences: it outlives rewrites of the value). */
  | { readonly key: string; readonly createRevision: Revision };

export type Op =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly leaseId?: LeaseId }
  | { readonly type: 'delete'; readonly key: string };

export type LeaseId = string;

export interface Transaction {
  readonly compare: readonly Compare[];
  /** At most one per key. */
  readonly ops: readonly Op[];
}

export type CommitResult =
  | { readonly committed: true; readonly revision: Revision }
  /**
   * Nothing was written; the compares that did not hold, in the order given. A watch of the whole store gets to `revision` without
   * further writes: whoever waits for that has seen what the transaction ran into.
   */
  | { readonly committed: false; readonly revision: Revision; readonly failed: readonly Compare[] };

export interface Snapshot {
  /** All items are as of this revision. */
  readonly revision: Revision;
  readonly items: readonly KeyValue[];
}

export type WatchEvent =
  { readonly type: 'put'; readonly item: KeyValue } | { readonly type: 'delete'; readonly key: string; readonly modRevision: Revision };

export type WatchMessage =
  /** All events of one revision below the prefix, together and once; revisions only rise. */
  | { readonly type: 'revision'; readonly revision: Revision; readonly events: readonly WatchEvent[] }
  /** Everything up to this revision has been delivered. Sent when the store went on without anything below the prefix. */
  | { readonly type: 'progress'; readonly revision: Revision }
  /** History from where the watch stood is gone, up to `compactedRevision`: take a new snapshot and compare. The last message. */
  | { readonly type: 'compacted'; readonly compactedRevision: Revision };

export interface Lease {
  readonly id: LeaseId;
  /**
   * Monotonic milliseconds (of the driver's Clock) by which the holder must have stopped to act on the lease:
   * when the last confirmed renewal was sent, plus the TTL, less a margin. Moves on with each renewal.
   */
  readonly deadlineMs: number;
  /** Aborted when the deadline passes without a renewal, when the store says that the lease is gone, or on revoke. Never un-aborts. */
  readonly lost: AbortSignal;
  /** Deletes the lease and its keys; best effort within two seconds. */
  revoke(): Promise<void>;
}

export interface StoreLimits {
  /** A transaction holds at most this many compares, and at most this many ops. */
  readonly maxListLength: number;
  /** Sum of keys and values of a transaction. */
  readonly maxBytes: number;
}

/**
 * Errors, all ShoalError: `unavailable` / `deadline_exceeded` (nothing is known to have happened: for commit it is certain that
 * nothing did), `outcome_unknown` (commit only, after the driver's own attempts to find out, or when the signal aborted after it was
 * sent), `cancelled` (the signal aborted; for commit, before it was sent), `resource_exhausted` (no space: reads still work),
 * `invalid_argument` (over the limits), `failed_precondition` (a put names a lease that is gone: nothing was written),
 * `permission_denied` (etcd refuses the user). A call never hangs: each has a deadline of its own, five seconds with all its attempts.
 */
export interface Store {
  readonly driver: 'etcd' | 'embedded';
  readonly limits: StoreLimits;
  /** Everything below the prefix ('' for all) at one revision, read in pages. */
  snapshot(prefix: string, signal?: AbortSignal): Promise<Snapshot>;
  /**
   * From `fromRevision` on, without gap and without repeat, across reconnects, until the signal aborts (then it just ends).
   * It reconnects for as long as it takes; `reachable` tells about that.
   */
  watch(prefix: string, fromRevision: Revision, signal: AbortSignal): AsyncIterable<WatchMessage>;
  /** Applied at most once, however often the driver had to send it. */
  commit(transaction: Transaction, signal?: AbortSignal): Promise<CommitResult>;
  /** Renewed by the driver at a third of the TTL until revoked or lost. etcd keeps no lease shorter than two seconds or so. */
  lease(ttlMs: number, signal?: AbortSignal): Promise<Lease>;
  /** History below this revision may go: a watch may still begin at it, not before. */
  compact(revision: Revision): Promise<void>;
  /** False while the last exchange with the store failed. */
  reachable(): boolean;
  /** Ends watches, gives up leases without revoking them, releases everything. */
  close(): Promise<void>;
}
