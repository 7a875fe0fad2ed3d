// The brake on mass loss: where most nodes fall silent together, what they run is not replaced until the hold is over, whoever leads meanwhile. Judged by the rows
// that say which nodes are down, at the moment at which they are written. Whom the leader says to hold for that reason it holds for its whole time, even
// if the others are back before. Who was evicted before the loss began stays so: there is nothing left to hold back. So does a task that was replaced before: its
// replacement may be made anew as long as it waits for a node.
import { Availability, HoldReason, NodeState, type NodeWatch } from '../../../proto/index.ts';
import { short } from '../core/trace.ts';
import type { Truth } from '../truth/truth.ts';

const WINDOW_MS = 10_000;
const HOLD_MS = 60_000;
const PERCENT = 55;
const LEAST_NODES = 3;
/** A leader decides by what it has read; what it then writes arrives a little later. */
const GRACE_MS = 1000;

export function massLossIsHeld(truth: Pick<Truth, 'mirror' | 'nowMs' | 'fail'>): void {
  const { mirror } = truth;
  /** When users last changed the settings: who was lost before that was judged by others. */
  let settingsMs = Number.NEGATIVE_INFINITY;
  /** Lost tasks whose slots others have taken over, and that have not come back since. */
  const replacedOnes = new Set<string>();
  /** Since when a node is down, by id. */
  const down = new Map<string, number>();
  let heldSinceMs: number | undefined;
  /** Those that the leader said it holds: since when, by id. */
  const told = new Map<string, number>();

  /** Those that the leader said it has evicted: since when, by id. */
  const evicted = new Map<string, number>();

  const noteEvicted = (watch: NodeWatch): void => {
    const ids = new Set(watch.evicted.map(({ nodeId }) => nodeId));
    for (const id of evicted.keys()) if (!ids.has(id)) evicted.delete(id);
    for (const id of ids) if (!evicted.has(id)) evicted.set(id, truth.nowMs);
  };
  const noteTold = (before: NodeWatch | undefined, after: NodeWatch): void => {
    const held = after.held.filter(({ reason }) => reason === HoldReason.HOLD_MASS_LOSS);
    // One that joins is held no longer than those that are there.
    const sinceMs = Math.min(truth.nowMs, ...held.map(({ nodeId }) => told.get(nodeId) ?? truth.nowMs));
    for (const { nodeId, sessionNonce, reason } of held) {
      const isOld = before?.held.some((node) => node.nodeId === nodeId && node.sessionNonce === sessionNonce && node.reason === reason);
      // Said before, and by other settings maybe; or said of one that is back, which the leader has not read yet.
      if (isOld !== true && down.has(nodeId) && !told.has(nodeId)) told.set(nodeId, sinceMs);
    }
  };
  const isMassive = (sinceMs: number): boolean => {
    let lost = 0;
    let known = 0;
    for (const { id, value } of mirror.all('nodeStatus')) {
      if (mirror.get('nodes', id) === undefined) continue;
      const downMs = down.get(id);
      if (downMs !== undefined && downMs < Math.max(sinceMs, settingsMs)) continue;
      known++;
      if (downMs !== undefined) lost++;
      else if (value.state !== NodeState.NODE_READY) known--;
    }
    return known >= LEAST_NODES && lost * 100 >= PERCENT * known;
  };
  mirror.onChange((change) => {
    if (change.table === 'nodeStatus') {
      if (change.after?.value.state === NodeState.NODE_DOWN) {
        if (!down.has(change.id)) down.set(change.id, truth.nowMs);
      } else {
        down.delete(change.id);
        told.delete(change.id);
      }
      // Settings of users, and nodes that are back, end it; so does `node evict` (the fault matrix: "then done, `node evict` at once").
      if (!isMassive((heldSinceMs ?? truth.nowMs) - WINDOW_MS)) heldSinceMs = undefined;
      else heldSinceMs ??= truth.nowMs;
    }
    if (change.table === 'nodeWatch' && change.after !== undefined) {
      noteTold(change.before?.value, change.after.value);
      noteEvicted(change.after.value);
    }
    if (change.table === 'nodes') {
      heldSinceMs = undefined;
      told.delete(change.id);
    }
    if (change.table === 'cluster') {
      heldSinceMs = undefined;
      settingsMs = truth.nowMs;
      told.clear();
    }
    if (change.table !== 'tasks') return;
    if (change.before?.value.lost === true && change.after?.value.lost !== true) replacedOnes.delete(change.id);
    if (change.before !== undefined || change.after === undefined) return;
    const { replaces } = change.after.value;
    const replaced = mirror.get('tasks', replaces)?.value;
    if (replaced?.lost !== true || replacedOnes.has(replaces)) return;
    replacedOnes.add(replaces);
    const settings = mirror.get('cluster', '')?.value.settings;
    if (settings?.massLossPercent !== undefined || settings?.massLossHoldMs !== undefined) return;
    const node = mirror.get('nodes', replaced.nodeId)?.value;
    if (node?.spec?.availability !== Availability.ACTIVE || node.evictedNonce !== '') return;
    const downMs = down.get(replaced.nodeId);
    const evictedMs = evicted.get(replaced.nodeId) ?? truth.nowMs;
    const isPart =
      heldSinceMs !== undefined &&
      downMs !== undefined &&
      downMs >= Math.max(heldSinceMs - WINDOW_MS, settingsMs) &&
      evictedMs >= heldSinceMs;
    const withMostMs = isPart ? heldSinceMs : undefined;
    for (const sinceMs of [told.get(replaced.nodeId), withMostMs]) {
      if (sinceMs === undefined || truth.nowMs - sinceMs < GRACE_MS || truth.nowMs - sinceMs > HOLD_MS - WINDOW_MS) continue;
      truth.fail(
        'hold',
        `task ${short(replaced.id)} of node ${short(node.id)} is replaced ${((truth.nowMs - sinceMs) / 1000).toFixed(1)} s after most nodes were lost at once`,
      );
    }
  });
}
