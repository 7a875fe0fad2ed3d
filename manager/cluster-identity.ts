// The `cluster` row: made by the first manager that finds none; its id and incarnation name every epoch.
import type { Clock } from '../lib/clock.ts';
import type { Ids } from '../lib/ids.ts';
import { Cluster } from '../proto/index.ts';
import { type ClusterState, commitTo, TransactionBuilder } from './state/index.ts';
import type { Store } from './store/store.ts';

const REACH_MS = 10_000;

/** Resolves to the stored row, once the state has it. */
export async function ensureCluster(store: Store, state: ClusterState, clock: Clock, ids: Ids): Promise<Cluster> {
  for (;;) {
    const present = state.get('cluster', '');
    if (present !== undefined) return present.value;
    const cluster = Cluster.create({ id: ids.next(), incarnation: ids.next(), incarnationNumber: 1, createdUnixMs: clock.wallMs() });
    const result = await commitTo(store, state, new TransactionBuilder().put('cluster', '', cluster, undefined));
    if (!result.committed) await state.reached(result.revision, REACH_MS);
  }
}
