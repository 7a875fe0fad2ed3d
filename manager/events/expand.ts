// The events of a stored record, as readers get them.
import { enumName, type Event, type EventRecord, TaskAction, type TaskChange, type TaskChanges, TaskState } from '../../proto/index.ts';
import { shownSlot } from '../state/index.ts';

/** In order: what was written out, then what became of tasks. */
export function eventsOf({ events, tasks }: EventRecord): readonly Event[] {
  return tasks.length === 0
    ? events
    : [...events, ...tasks.flatMap((changes) => changes.changes.map((change) => taskEvent(changes, change)))];
}

function taskEvent({ serviceId, serviceName, timeUnixMs }: TaskChanges, change: TaskChange): Event {
  const { taskId, slot, nodeId, jobIteration, action, state } = change;
  const stateName = enumName(TaskState, state).toLowerCase();
  const attributes = {
    'service.id': serviceId,
    'service.name': serviceName,
    ...(nodeId === '' ? {} : { 'node.id': nodeId }),
    ...(jobIteration === undefined ? {} : { iteration: String(jobIteration) }),
    ...(action === TaskAction.TASK_STATE ? { state: stateName } : {}),
    ...(action === TaskAction.TASK_DESIRED ? { desired: stateName } : {}),
  };
  const objectName = `${serviceName}.${slot > 0 ? String(shownSlot(change)) : nodeId}`;
  const type = 'task';
  return { timeUnixMs, type, action: NAMES[action], objectId: taskId, objectName, message: messageOf(change, stateName), attributes };
}

const NAMES: Readonly<Record<TaskAction, string>> = {
  [TaskAction.TASK_CREATE]: 'create',
  [TaskAction.TASK_ASSIGN]: 'assign',
  [TaskAction.TASK_PENDING]: 'pending',
  [TaskAction.TASK_STATE]: 'state',
  [TaskAction.TASK_DESIRED]: 'desired',
  [TaskAction.TASK_DRAIN]: 'drain',
  [TaskAction.TASK_LOST]: 'lost',
  [TaskAction.TASK_FOUND]: 'found',
  [TaskAction.TASK_REMOVE]: 'remove',
  [TaskAction.TASK_READY]: 'ready',
  [TaskAction.TASK_UNREADY]: 'unready',
};

function messageOf({ action, reason, nodeId }: TaskChange, stateName: string): string {
  switch (action) {
    case TaskAction.TASK_CREATE:
      return nodeId === '' ? 'waits for a node' : 'placed at once';
    case TaskAction.TASK_STATE:
      return reason === '' || reason === stateName ? stateName : `${stateName}: ${reason}`;
    case TaskAction.TASK_DESIRED:
      return `shall be ${stateName} from now on`;
    case TaskAction.TASK_DRAIN:
      return 'gets no new connections, and is stopped when those that it has are over';
    case TaskAction.TASK_LOST:
      return 'its node is down';
    case TaskAction.TASK_FOUND:
      return 'its node is back';
    case TaskAction.TASK_UNREADY:
      return `gets no new traffic: ${reason}`;
    default:
      return reason;
  }
}
