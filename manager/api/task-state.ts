// What users see as the state of a task: the leader's verdict where there is one, else what its node says.
import { NodeState, type Task, TaskState, type TaskStatus } from '../../proto/index.ts';
import type { StateView } from '../state/index.ts';

export interface SeenTask {
  readonly state: TaskState;
  readonly message: string;
  /** Plain words of what is wrong, the scheduler's explanation of a PENDING task included; empty otherwise. */
  readonly error: string;
  readonly sinceUnixMs: number;
  readonly status: TaskStatus | undefined;
}

/** ASSIGNED is a verdict that the node's own status overtakes; the others stand. */
export function seenTask(state: StateView, task: Task): SeenTask {
  const status = state.get('taskStatus', task.id)?.value;
  const { verdict } = task;
  const overtaken = verdict?.state === TaskState.ASSIGNED && status !== undefined && status.state > TaskState.ASSIGNED;
  if (verdict !== undefined && !overtaken) {
    const error = verdict.state === TaskState.ASSIGNED ? '' : verdict.message;
    return { state: verdict.state, message: verdict.message, error, sinceUnixMs: verdict.sinceUnixMs, status };
  }
  if (status !== undefined) {
    return { state: status.state, message: status.message, error: status.error, sinceUnixMs: status.sinceUnixMs, status };
  }
  const placed = task.nodeId !== '';
  return {
    state: placed ? TaskState.ASSIGNED : TaskState.PENDING,
    message: placed ? 'assigned to its node' : 'waiting to be placed',
    error: '',
    sinceUnixMs: task.createdUnixMs,
    status,
  };
}

/** It has ended, or is about to be forgotten. */
export function isFinished(state: TaskState): boolean {
  return state >= TaskState.COMPLETE;
}

/** The leader wants it to run, now or after its restart delay. */
export function shallRun(task: Task): boolean {
  return task.desired <= TaskState.COMPLETE;
}

/** It runs, as far as is known: a node that is down knows nothing. */
export function isRunning(state: StateView, task: Task): boolean {
  const isUp = state.get('nodeStatus', task.nodeId)?.value.state === NodeState.NODE_READY;
  return isUp && shallRun(task) && !task.lost && seenTask(state, task).state === TaskState.RUNNING;
}
