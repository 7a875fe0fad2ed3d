// A cluster's rows that change revision by revision: feeds a state as the watch would, and can be read anew as a snapshot.
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { ClusterState, keyOf, TransactionBuilder, type TableName } from '../../manager/state/index.ts';
import type { KeyValue, Revision, WatchEvent } from '../../manager/store/store.ts';
import type { RowWrite } from './state-rows.ts';

export interface StateWorld {
  readonly state: ClusterState;
  /** One revision: all of it together. */
  change(puts: readonly RowWrite[], deletes?: readonly (readonly [TableName, string])[]): Revision;
  /** Another manager that starts now. */
  snapshot(): ClusterState;
}

export function stateWorld(): StateWorld {
  const state = new ClusterState(systemClock, silentLogger);
  const items = new Map<string, KeyValue>();
  let revision = 0;
  return {
    state,
    change(puts, deletes = []) {
      revision++;
      const builder = new TransactionBuilder();
      for (const put of puts) put(builder);
      const events: WatchEvent[] = [];
      for (const op of builder.build().ops) {
        if (op.type === 'delete') continue;
        const item = { key: op.key, value: op.value, createRevision: items.get(op.key)?.createRevision ?? revision, modRevision: revision };
        items.set(op.key, item);
        events.push({ type: 'put', item });
      }
      for (const [table, id] of deletes) {
        const key = keyOf(table, id);
        if (items.delete(key)) events.push({ type: 'delete', key, modRevision: revision });
      }
      state.applyRevision(revision, events);
      return revision;
    },
    snapshot() {
      const fresh = new ClusterState(systemClock, silentLogger);
      fresh.applySnapshot(revision, [...items.values()]);
      return fresh;
    },
  };
}
