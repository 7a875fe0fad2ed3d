// What the design allows a cluster that was cut in two: tasks on the far side run on until their node is back (I2), and what is decided about them then takes a moment.
import { TaskState } from '../../../proto/index.ts';
import type { Container } from '../parts/engine.ts';
import type { Truth } from './truth.ts';

/** A node that is back: registering anew, and the leader's decision on what it runs. */
export const DECIDE_MS = 8000;
/** From that decision: acknowledgements of its meshes, a drain, and a slow stop. */
const LEAVE_MS = 30_000;

/** It runs on a node that is cut off, or was until just now, or it is on its way out since. While nobody leads, nothing is decided. */
export function isExcused(truth: Truth, container: Container): boolean {
  const { mirror, nowMs } = truth;
  const { awayMs } = truth.nodeOf(container.host);
  const isPart = mirror.get('nodes', container.nodeId) !== undefined;
  const task = mirror.get('tasks', container.taskId)?.value;
  const leaves = !isPart || task === undefined || task.drain || task.lost || task.desired > TaskState.COMPLETE;
  return nowMs - Math.max(awayMs, truth.undecidedMs) <= DECIDE_MS + (leaves ? LEAVE_MS : 0);
}
