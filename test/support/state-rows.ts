// Rows for tests that need a cluster's state: in memory at once, or written to a store as whoever owns them would.
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { ClusterState, keyOf, type TableName, type TableTypes, TransactionBuilder } from '../../manager/state/index.ts';
import type { Revision, Store } from '../../manager/store/store.ts';

export type RowWrite = (builder: TransactionBuilder) => void;

/** Whatever was there before is replaced. */
export function row<T extends TableName>(table: T, id: string, value: TableTypes[T]): RowWrite {
  return (builder) => void builder.overwrite(table, id, value);
}

/** A state that holds these rows; each call of `put` is a revision of its own. */
export function stateWith(...rows: readonly RowWrite[]): ClusterState {
  const state = new ClusterState(systemClock, silentLogger);
  putRows(state, ...rows);
  return state;
}

export function putRows(state: ClusterState, ...rows: readonly RowWrite[]): Revision {
  const revision = state.revision + 1;
  const builder = new TransactionBuilder();
  for (const write of rows) write(builder);
  const events = builder.build().ops.flatMap((op) => {
    if (op.type === 'delete') return [];
    return [{ type: 'put' as const, item: { key: op.key, value: op.value, createRevision: revision, modRevision: revision } }];
  });
  state.applyRevision(revision, events);
  return revision;
}

export function deleteRow(state: ClusterState, table: TableName, id: string): void {
  const revision = state.revision + 1;
  state.applyRevision(revision, [{ type: 'delete', key: keyOf(table, id), modRevision: revision }]);
}

/** One transaction without compares. */
export async function storeRows(store: Store, ...rows: readonly RowWrite[]): Promise<Revision> {
  const builder = new TransactionBuilder();
  for (const write of rows) write(builder);
  const { revision } = await store.commit(builder.build());
  return revision;
}
