// One task as users see it: row, status and spec together.
import { NodeState, type Task, TaskState, TaskView } from '../../proto/index.ts';
import { type Row, shownSlot, specOf, type StateView } from '../state/index.ts';
import { taskWithoutLogin } from './spec-secrets.ts';
import { hostnameOf, serviceName, taskName } from './task-names.ts';
import { remarkOf } from './task-remark.ts';
import { isFinished, seenTask } from './task-state.ts';

export function taskView(state: StateView, row: Row<Task>, nowUnixMs: number): TaskView {
  const task = row.value;
  const seen = seenTask(state, task);
  const spec = specOf(state, task.serviceId, task.specNumber);
  return TaskView.create({
    id: row.id,
    name: taskName(state, task),
    serviceId: task.serviceId,
    serviceName: serviceName(state, task),
    slot: shownSlot(task),
    nodeId: task.nodeId,
    nodeHostname: hostnameOf(state, task.nodeId),
    desired: shownDesired(task, seen.state),
    state: seen.state,
    message: seen.message,
    error: seen.error,
    sinceUnixMs: seen.sinceUnixMs,
    createdUnixMs: task.createdUnixMs,
    spec: spec?.task && taskWithoutLogin(spec.task),
    specNumber: task.specNumber,
    status: seen.status,
    drain: task.drain,
    lost: task.lost && isAway(state, task, seen.state),
    ports: spec?.ports ?? [],
    version: row.modRevision,
    remark: remarkOf(state, task, seen, nowUnixMs),
    jobIteration: task.jobIteration,
    canary: task.canary,
  });
}

/** What has ended, or is on a node that is back, is as it is said to be. */
function isAway(state: StateView, { nodeId }: Task, seen: TaskState): boolean {
  return !isFinished(seen) && state.get('nodeStatus', nodeId)?.value.state !== NodeState.NODE_READY;
}

/** What has ended does not run again, though its row stays where no other takes its place. A job's task that ended well is what it shall be. */
function shownDesired({ desired }: Task, state: TaskState): TaskState {
  if (state < TaskState.COMPLETE || desired > TaskState.COMPLETE || desired === state) return desired;
  return TaskState.SHUTDOWN;
}
