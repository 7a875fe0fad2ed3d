// A copy of the cluster's state to try things on: what is written to it goes nowhere else.
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import type { PlannedWrite } from '../orchestrator/plan.ts';
import { ClusterState, type StateView, type TableName, type TableTypes } from '../state/index.ts';

/** What deciding about services reads. */
const TABLES: readonly TableName[] = [
  'cluster',
  'services',
  'specs',
  'serviceStatus',
  'rebalance',
  'tasks',
  'slots',
  'taskStatus',
  'nodes',
  'sessions',
  'nodeStatus',
  'nodeWatch',
  'routeAcks',
];

export interface ScratchWrite<T extends TableName = TableName> {
  readonly table: T;
  readonly id: string;
  /** Undefined: the row is deleted. */
  readonly value: TableTypes[T] | undefined;
}

export interface ScratchState {
  readonly state: ClusterState;
  /** One revision. */
  write(writes: readonly ScratchWrite[]): void;
}

/** Rows keep their revisions. Costs a pass over all rows. */
export function scratchOf(view: StateView, clock: Clock): ScratchState {
  const state = new ClusterState(clock, silentLogger);
  for (const table of TABLES) {
    for (const { id, value, createRevision, modRevision } of view.all(table)) {
      state.applyOwn(createRevision, [{ table, id, value }]);
      if (modRevision !== createRevision) state.applyOwn(modRevision, [{ table, id, value }]);
    }
  }
  state.applyProgress(view.revision);
  return {
    state,
    write(writes) {
      const revision = state.revision + 1;
      state.applyOwn(revision, writes);
      state.applyProgress(revision);
    },
  };
}

export function scratchWrites(writes: readonly PlannedWrite[]): readonly ScratchWrite[] {
  return writes.map((write) =>
    write.kind === 'put'
      ? { table: write.table, id: write.id, value: write.value }
      : { table: write.table, id: write.row.id, value: undefined },
  );
}

/** A clock that stands until it is told to go on. */
export interface ScratchClock extends Clock {
  advance(ms: number): void;
}

export function scratchClock(from: Clock): ScratchClock {
  let passedMs = 0;
  const [nowMs, wallMs] = [from.nowMs(), from.wallMs()];
  return {
    nowMs: () => nowMs + passedMs,
    wallMs: () => wallMs + passedMs,
    after: () => {
      throw new ShoalError('internal', 'nothing waits on a scratch clock');
    },
    advance(ms) {
      passedMs += ms;
    },
  };
}
