// Which nodes that are down still count as merely away: their tasks are not replaced yet.
import type { NodeWatch } from '../../proto/index.ts';
import type { StateView } from './state-view.ts';

const HELD = new WeakMap<NodeWatch, ReadonlyMap<string, string>>();

/** `node evict` was said of the session that the node had last. */
export function hasEvictionOrder(view: StateView, nodeId: string): boolean {
  const nonce = view.get('sessions', nodeId)?.value.nonce;
  return nonce !== undefined && nonce !== '' && view.get('nodes', nodeId)?.value.evictedNonce === nonce;
}

/** For a node that is down. */
export function isHeld(view: StateView, nodeId: string): boolean {
  const watch = view.get('nodeWatch', '')?.value;
  if (watch === undefined || watch.held.length === 0) return false;
  let held = HELD.get(watch);
  if (held === undefined) {
    held = new Map(watch.held.map((node) => [node.nodeId, node.sessionNonce]));
    HELD.set(watch, held);
  }
  const nonce = held.get(nodeId);
  return nonce !== undefined && nonce === (view.get('sessions', nodeId)?.value.nonce ?? '') && !hasEvictionOrder(view, nodeId);
}
