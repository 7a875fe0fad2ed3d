// Collects the changes of one slot, so that they become one write group: at most one write per row, none where nothing changes.
import { type Event, Task, TaskState, type TaskRestart } from '../../proto/index.ts';
import { type Row, slotId } from '../state/index.ts';
import type { PlannedWrite, WriteGroup } from './plan.ts';
import type { SlotTasks } from './slot.ts';
import type { TaskInfo } from './task-info.ts';

/** What reconcilers change of a task. */
export type TaskPatch = Partial<
  Pick<Task, 'desired' | 'drain' | 'lost' | 'held' | 'verdict' | 'restart' | 'gaveUp' | 'canary' | 'awaited' | 'replaces'>
>;

export interface NewTask {
  readonly id: string;
  readonly specNumber: number;
  /** 0 for global. Of a replicated job the slot's number plus one. */
  readonly slot: number;
  /** Empty until placed; for global the only node that will do. */
  readonly nodeId: string;
  readonly desired: TaskState;
  readonly replaces: string;
  readonly restart: TaskRestart | undefined;
  readonly failedUpdate: boolean;
  /** Moves in a row that it came of; unset: it came of none. */
  readonly moves?: number;
  /** Why it gets no node yet; unset: it gets one. */
  readonly holdMessage?: string | undefined;
  readonly jobIteration?: number;
  readonly canary?: boolean;
  readonly awaited?: boolean;
}

export class SlotEdit {
  readonly slot: SlotTasks;
  /** The slot's task has ended, and is replaced when its delay is over. */
  restartsLater = false;
  readonly #serviceId: string;
  readonly #wallMs: number;
  readonly #patches = new Map<TaskInfo, TaskPatch>();
  readonly #removed = new Set<TaskInfo>();
  readonly #required = new Set<TaskInfo>();
  readonly #events: Event[] = [];
  #created: Task | undefined;
  #holderId: string | undefined;

  constructor(serviceId: string, slot: SlotTasks, wallMs: number) {
    this.#serviceId = serviceId;
    this.slot = slot;
    this.#wallMs = wallMs;
  }

  /** As it will be once this is committed. */
  taskOf(info: TaskInfo): Task {
    const patch = this.#patches.get(info);
    return patch === undefined ? info.task : { ...info.task, ...patch };
  }

  patch(info: TaskInfo, patch: TaskPatch): void {
    this.#patches.set(info, { ...this.#patches.get(info), ...patch });
  }

  /** Forgets a task that has ended, with what its node said of it. */
  remove(info: TaskInfo): void {
    this.#removed.add(info);
  }

  isRemoved(info: TaskInfo): boolean {
    return this.#removed.has(info);
  }

  /** The decision rests on what the node says of this task: it holds only while that is the last word. */
  requireStatus(info: TaskInfo): void {
    this.#required.add(info);
  }

  /** A new task that fills the slot from now on. */
  create({ holdMessage, ...made }: NewTask): void {
    this.#created = Task.create({
      ...made,
      serviceId: this.#serviceId,
      held: holdMessage !== undefined,
      verdict: { state: TaskState.PENDING, message: holdMessage ?? '', sinceUnixMs: this.#wallMs },
      createdUnixMs: this.#wallMs,
    });
    this.#holderId = made.id;
  }

  get created(): Task | undefined {
    return this.#created;
  }

  /** The slot goes to a task that is there already: one that had it before, or a canary's. */
  setHolder(info: TaskInfo): void {
    this.#holderId = info.row.id;
  }

  /** The slot is given back to a task that is there already. */
  get isReturned(): boolean {
    return this.#holderId !== undefined && this.#created === undefined;
  }

  addEvent(event: Event): void {
    this.#events.push(event);
  }

  /** Undefined: nothing changes. */
  build(): WriteGroup | undefined {
    const writes: PlannedWrite[] = [];
    for (const info of this.#removed) {
      writes.push({ kind: 'delete', table: 'tasks', row: info.row });
      if (info.statusRow !== undefined) writes.push({ kind: 'delete', table: 'taskStatus', row: info.statusRow });
    }
    for (const [info, patch] of this.#patches) {
      if (this.#removed.has(info) || !changes(info.task, patch)) continue;
      writes.push({ kind: 'put', table: 'tasks', id: info.row.id, value: { ...info.task, ...patch }, before: info.row });
    }
    if (this.#created !== undefined) {
      writes.push({ kind: 'put', table: 'tasks', id: this.#created.id, value: this.#created, before: undefined });
    }
    this.#writeSlot(writes);
    if (writes.length === 0 && this.#events.length === 0) return undefined;
    // The row of one that is removed is compared as it goes.
    const required = [...this.#required].filter((info) => writes.length > 0 && !this.#removed.has(info));
    const requires = required.map((info) => ({ table: 'taskStatus', id: info.row.id, row: info.statusRow }) as const);
    return { serviceId: this.#serviceId, writes, requires, events: this.#events };
  }

  #writeSlot(writes: PlannedWrite[]): void {
    const { row, key, holder, others } = this.slot;
    if (this.#holderId !== undefined) {
      if (row?.value.taskId === this.#holderId) return;
      writes.push({ kind: 'put', table: 'slots', id: slotId(this.#serviceId, key), value: { taskId: this.#holderId }, before: row });
      return;
    }
    const isEmpty = (holder === undefined || this.#removed.has(holder)) && others.every((other) => this.#removed.has(other));
    if (row !== undefined && isEmpty) writes.push({ kind: 'delete', table: 'slots', row: row satisfies Row<unknown> });
  }
}

function changes(task: Task, patch: TaskPatch): boolean {
  return (Object.keys(patch) as (keyof TaskPatch)[]).some((key) =>
    key === 'verdict'
      ? patch.verdict?.state !== task.verdict?.state || patch.verdict?.message !== task.verdict?.message
      : patch[key] !== task[key],
  );
}
