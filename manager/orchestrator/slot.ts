// The tasks of one service by slot: who fills it, and who else is still about.
import type { Slot, Task } from '../../proto/index.ts';
import { TaskState } from '../../proto/index.ts';
import { type Row, slotId, type StateView } from '../state/index.ts';
import { type TaskInfo, taskInfo } from './task-info.ts';

export interface SlotTasks {
  /** The slot's number, or its node's id for a global service; of a job its iteration before that, and a point; of a canary a tilde behind it. */
  readonly key: string;
  readonly row: Row<Slot> | undefined;
  /** The task that fills the slot; undefined: nobody, or it is to be removed. */
  readonly holder: TaskInfo | undefined;
  /** All the others, oldest first: being replaced, stopping, lost, history. */
  readonly others: readonly TaskInfo[];
}

export function slotKeyOf(task: Pick<Task, 'slot' | 'nodeId' | 'jobIteration' | 'canary'>): string {
  if (task.jobIteration !== undefined) return jobSlotKey(task.jobIteration, task.slot > 0 ? String(task.slot - 1) : task.nodeId);
  if (task.canary) return canarySlotKey(String(task.slot));
  return task.slot > 0 ? String(task.slot) : task.nodeId;
}

const BESIDE = '~';

/** Where the canary's task runs beside the one of slot `key`. */
export function canarySlotKey(key: string): string {
  return `${key}${BESIDE}`;
}

/** The slot that a canary's task runs beside; undefined: it is no canary's. */
export function besideSlotKey(key: string): string | undefined {
  return key.endsWith(BESIDE) ? key.slice(0, -BESIDE.length) : undefined;
}

/** `name`: the slot's number, from 0, or its node's id. */
export function jobSlotKey(iteration: number, name: string): string {
  return `${iteration}.${name}`;
}

export function emptySlot(view: StateView, serviceId: string, key: string): SlotTasks {
  return { key, row: view.get('slots', slotId(serviceId, key)), holder: undefined, others: [] };
}

export function slotsOf(view: StateView, serviceId: string): Map<string, SlotTasks> {
  const tasks = new Map<string, TaskInfo[]>();
  for (const row of view.tasksOfService(serviceId)) {
    const key = slotKeyOf(row.value);
    const list = tasks.get(key);
    if (list === undefined) tasks.set(key, [taskInfo(view, row)]);
    else list.push(taskInfo(view, row));
  }
  const slots = new Map<string, SlotTasks>();
  for (const [key, list] of tasks) {
    const { row } = emptySlot(view, serviceId, key);
    if (list.length > 1) list.sort((one, other) => one.row.createRevision - other.row.createRevision);
    const holder = list.find((info) => info.row.id === row?.value.taskId && info.task.desired !== TaskState.REMOVE);
    slots.set(key, { key, row, holder, others: list.filter((info) => info !== holder) });
  }
  return slots;
}
