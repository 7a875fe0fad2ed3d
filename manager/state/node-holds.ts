// Which nodes that are down still count as merely away: their tasks are not replaced yet.
import type { NodeWatch } from '../../proto/index.ts';
import type { StateView } from './state-view.ts';

/**
 * Of the time after which a node is down: unheard for that long it is quiet, and its row says so. Later than any heartbeat of a healthy node, early enough
 * to know of others when one is down.
 */
export const QUIET_SHARE = 0.7;

const HELD = new WeakMap<NodeWatch, ReadonlySet<string>>();

/** `node evict` was said of the session that the node had last. */
export function hasEvictionOrder(view: StateView, nodeId: string): boolean {
  const nonce = view.get('sessions', nodeId)?.value.nonce;
  return nonce !== undefined && nonce !== '' && view.get('nodes', nodeId)?.value.evictedNonce === nonce;
}

/**
 * For a node that is down. Whatever session it has by now: one that is back with a new agent is down for a moment more, and no less held for that. The
 * leader brings the row up to date before it decides on anything.
 */
export function isHeld(view: StateView, nodeId: string): boolean {
  const watch = view.get('nodeWatch', '')?.value;
  if (watch === undefined || watch.held.length === 0) return false;
  let held = HELD.get(watch);
  if (held === undefined) {
    held = new Set(watch.held.map((node) => node.nodeId));
    HELD.set(watch, held);
  }
  return held.has(nodeId) && !hasEvictionOrder(view, nodeId);
}
