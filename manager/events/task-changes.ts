// What a write of a task's row, or of its status, means for people: at most a few short records, stored with the write itself.
import { type Task, TaskAction, type TaskChange, TaskState, type TaskStatus } from '../../proto/index.ts';

const MAX_REASON = 500;

/** Of the leader's row. Undefined on one side: made, or forgotten. */
export function rowChanges(before: Task | undefined, after: Task | undefined): readonly TaskChange[] {
  if (after === undefined) return before === undefined ? [] : [change(before, TaskAction.TASK_REMOVE)];
  const changes: TaskChange[] = [];
  if (before === undefined) changes.push(change(after, TaskAction.TASK_CREATE));
  changes.push(...verdictChanges(before, after));
  if (before === undefined) return changes;
  if (after.drain && !before.drain) changes.push(change(after, TaskAction.TASK_DRAIN));
  if (after.lost !== before.lost) changes.push(change(after, after.lost ? TaskAction.TASK_LOST : TaskAction.TASK_FOUND));
  if (after.desired !== before.desired) changes.push(change(after, TaskAction.TASK_DESIRED, after.desired));
  return changes;
}

/** What the leader says of it. A new task waits in any case: that it does is news only where no node takes it. */
function verdictChanges(before: Task | undefined, task: Task): readonly TaskChange[] {
  const { verdict } = task;
  if (verdict === undefined || (before?.verdict?.state === verdict.state && before.verdict.message === verdict.message)) return [];
  switch (verdict.state) {
    case TaskState.ASSIGNED:
      // Made and placed at once, as nearly all are: its making names the node.
      return before === undefined ? [] : [change(task, TaskAction.TASK_ASSIGN, verdict.state)];
    case TaskState.PENDING:
      return verdict.message === '' ? [] : [change(task, TaskAction.TASK_PENDING, verdict.state, verdict.message)];
    default:
      return [change(task, TaskAction.TASK_STATE, verdict.state, verdict.message)];
  }
}

/** Of what its node says. */
export function statusChange(task: Task, before: TaskStatus | undefined, after: TaskStatus): TaskChange | undefined {
  if (before?.state === after.state && before.error === after.error) return readinessChange(task, before, after);
  const exit = after.exitCode === undefined || after.exitCode === 0 ? '' : `exit code ${String(after.exitCode)}`;
  const words = after.error || (after.state === TaskState.RUNNING ? '' : after.message);
  const reason = exit === '' || words.startsWith(exit) ? words : words === '' ? exit : `${exit}: ${words}`;
  return change(task, TaskAction.TASK_STATE, after.state, reason);
}

/** Of a task that runs on. That it is not ready when it has just started is no news. */
function readinessChange(task: Task, before: TaskStatus, after: TaskStatus): TaskChange | undefined {
  const isReady = ready(after);
  // One that is being stopped is closed, which is told as that.
  const isStopping = !isReady && task.desired > TaskState.COMPLETE;
  if (after.state !== TaskState.RUNNING || isReady === ready(before) || isStopping) return undefined;
  const isProbed = after.readiness !== undefined && after.readiness.ready !== before.readiness?.ready;
  if (isReady) {
    return change(task, TaskAction.TASK_READY, after.state, isProbed ? 'its readiness probe passes' : 'its published ports answer');
  }
  return change(task, TaskAction.TASK_UNREADY, after.state, after.readiness?.reason || 'a published port does not answer');
}

function ready({ readiness, endpoints }: TaskStatus): boolean {
  return readiness?.ready !== false && endpoints.every((endpoint) => endpoint.ready);
}

function change({ id, slot, nodeId, jobIteration }: Task, action: TaskAction, state: TaskState = TaskState.NEW, reason = ''): TaskChange {
  return { taskId: id, slot, nodeId, action, state, reason: reason.slice(0, MAX_REASON), jobIteration };
}
