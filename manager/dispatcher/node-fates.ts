// Of nodes whose tasks an agent found on its host: which were removed, so that what is left of them may go, and which are down.
import { type Cluster, type NodeFates, NodeState } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';
import { epochAt } from './epochs.ts';

/** More than share one engine; beyond this many an agent gets no answer. */
const MAX_ASKED = 1000;

/** A node that the store simply lacks is in neither list: an emptied store must not make anybody clear a host. */
export function fatesOf(state: StateView, cluster: Cluster, asked: readonly string[]): NodeFates {
  const ids = [...new Set(asked.slice(0, MAX_ASKED))];
  const present = (id: string): boolean => state.get('nodes', id) !== undefined;
  return {
    epoch: epochAt(cluster, state.revision),
    removedNodeIds: ids.filter((id) => !present(id) && state.get('removedNodes', id) !== undefined),
    downNodeIds: ids.filter((id) => present(id) && state.get('nodeStatus', id)?.value.state !== NodeState.NODE_READY),
  };
}
