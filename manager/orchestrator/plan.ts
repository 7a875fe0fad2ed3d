// What reconcilers hand to the leader: writes, in groups that belong to one slot, and when to look again.
import type { Event, ServiceSpec } from '../../proto/index.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Row, TableName, TableTypes } from '../state/index.ts';

export type PlannedWrite = PlannedPut | PlannedDelete;

export interface PlannedPut<T extends TableName = TableName> {
  readonly kind: 'put';
  readonly table: T;
  readonly id: string;
  readonly value: TableTypes[T];
  /** The row that the value was made from; undefined: a new one. */
  readonly before: Row<TableTypes[T]> | undefined;
}

export interface PlannedDelete {
  readonly kind: 'delete';
  readonly table: TableName;
  readonly row: Row<unknown>;
}

/** Committed whole or not at all; never split over transactions. */
export interface WriteGroup {
  readonly serviceId: string;
  readonly writes: readonly PlannedWrite[];
  /** Rows that must be as seen, though they are not written. */
  readonly requires: readonly { readonly table: TableName; readonly id: string; readonly row: Row<unknown> | undefined }[];
  readonly events: readonly Event[];
}

export interface Plan {
  readonly groups: readonly WriteGroup[];
  /** Look at this again after so many milliseconds even if nothing changes; undefined: no need. */
  readonly wakeInMs: number | undefined;
}

/**
 * When this leader first saw something: restart delays, drain periods and update delays run from there, so they begin anew
 * with a new leader. Keys not asked for during a pass over their owner are forgotten by the owner's `keep`.
 */
export interface FirstSeen {
  /** Monotonic milliseconds at which `key` of `owner` was first asked for; now, if this is the first time. */
  sinceMs(owner: string, key: string): number;
  has(owner: string, key: string): boolean;
  forget(owner: string, key: string): void;
}

/** What rebalancing asks of the scheduler, and of the watch over nodes. */
export interface BalanceSource {
  /** A move after which things are strictly better; undefined: there is none. Costs a look at every node. */
  betterPlace(asked: BetterPlaceRequest): BetterPlace | undefined;
  /** Since a node came, went or changed in a way that placement asks about, begun anew with a new leader; undefined: nothing is begun by itself. */
  readonly calmMs: number | undefined;
  /** Another one after each such change. */
  readonly calmNumber: number;
}

export interface BetterPlaceRequest {
  readonly serviceId: string;
  readonly specNumber: number;
  readonly spec: ServiceSpec;
  /** Ids of its tasks that may move, by node; the last of a node is the first to go. */
  readonly movable: ReadonlyMap<string, readonly string[]>;
}

export interface BetterPlace {
  readonly taskId: string;
  /** In plain words: what is uneven now. */
  readonly why: string;
}

/** A task that is to take over from another. */
export interface Successor {
  readonly replaces: string;
  readonly serviceId: string;
  readonly specNumber: number;
  readonly spec: ServiceSpec;
}

export interface ReconcileContext {
  /** Monotonic. */
  readonly nowMs: number;
  /** For created_unix_ms and the like. */
  readonly wallMs: number;
  readonly ids: Ids;
  readonly seen: FirstSeen;
  /** The scheduler's word: whether the node of that task would take one of this spec if the task were gone. */
  readonly fitsInPlaceOf: (taskId: string, spec: ServiceSpec) => boolean;
  /** The scheduler's word: whether any node would take what takes over from that task if the task were gone. */
  readonly findsPlace: (next: Successor) => boolean;
  /** Unset: nothing is rebalanced. */
  readonly balance?: BalanceSource;
}
