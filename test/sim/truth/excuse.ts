// The one excuse that invariants on running tasks share, from I2: "except on a node that is cut off, and never longer than until it is back". Semantics: an agent that is
// away for longer has its tasks replaced, though they still run; the slot is settled when the node returns. Registering anew, the leader's decision, and for what
// then has to go its drain (acknowledgements and the drain period, up to 6 s here) and its stop (up to the grace period, 10 s here), take a moment after that.
import { TaskState } from '../../../proto/index.ts';
import type { Container } from '../parts/engine.ts';
import type { Truth } from './truth.ts';

/** A node that is back: registering anew, and the leader's decision on what it runs. */
export const DECIDE_MS = 8000;
/** From that decision: acknowledgements of its meshes, a drain, and a slow stop. */
const LEAVE_MS = 30_000;

/** Longer after its return than that, a node is no excuse for anything. */
export const SETTLE_MS = DECIDE_MS + LEAVE_MS;

/** It runs on a node that is cut off, or was until just now, or that was removed, or it is on its way out since. While nobody leads, nothing is decided about it. */
export function isExcused(truth: Truth, container: Container): boolean {
  const { mirror, nowMs } = truth;
  const { unsettledMs } = truth.nodeOf(container.host);
  const isPart = mirror.get('nodes', container.nodeId) !== undefined;
  const task = mirror.get('tasks', container.taskId)?.value;
  const leaves = !isPart || task === undefined || task.drain || task.lost || task.desired > TaskState.COMPLETE;
  const removedMs = truth.nodeRemovedMs.get(container.nodeId) ?? 0;
  return nowMs - Math.max(unsettledMs, removedMs) <= DECIDE_MS + (leaves ? LEAVE_MS : 0);
}
