// Whether a task is there, as far as the leader knows.
import { type Task, TaskState } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';

/** From its placement until its node says that it has ended, or is no longer part of the cluster. A task that waits has no node yet, or only one in view. */
export function occupies(state: StateView, task: Task): boolean {
  if (task.nodeId === '' || task.verdict?.state === TaskState.PENDING || task.verdict?.state === TaskState.ORPHANED) return false;
  return isUnended(state, task);
}

export function isUnended(state: StateView, task: Task): boolean {
  return (state.get('taskStatus', task.id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
}
