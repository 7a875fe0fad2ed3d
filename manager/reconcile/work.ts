// One pass over one service: what was read, and the writes that it leads to, gathered by slot so that a slot's changes stay together.
import { type Event, type ServiceSpec, type Task, TaskState } from '../../proto/index.ts';
import { type Row, slotId, type StateView, type TableName, type TableTypes } from '../state/index.ts';
import type { Plan, PlannedWrite, ReconcileContext, WriteGroup } from '../orchestrator/plan.ts';
import type { TaskFacts } from './task-facts.ts';

/** The spec that tasks are brought to. */
export interface Target {
  readonly number: number;
  readonly spec: ServiceSpec;
}

interface OpenGroup {
  readonly writes: Map<string, PlannedWrite>;
  readonly requires: WriteGroup['requires'][number][];
  readonly events: Event[];
}

export class Work {
  readonly view: StateView;
  readonly serviceId: string;
  readonly context: ReconcileContext;
  readonly #groups = new Map<string, OpenGroup>();
  #wakeInMs: number | undefined;

  constructor(view: StateView, serviceId: string, context: ReconcileContext) {
    this.view = view;
    this.serviceId = serviceId;
    this.context = context;
  }

  /** Milliseconds since this leader first saw `key`; the pass is repeated when `untilMs` will have passed. */
  elapsedMs(key: string, untilMs: number): number {
    const elapsedMs = this.context.nowMs - this.context.seen.sinceMs(this.serviceId, key);
    if (elapsedMs < untilMs) this.wakeIn(untilMs - elapsedMs);
    return elapsedMs;
  }

  wakeIn(delayMs: number): void {
    this.#wakeInMs = Math.min(this.#wakeInMs ?? Number.POSITIVE_INFINITY, Math.max(1, delayMs));
  }

  put<T extends TableName>(slot: string, table: T, id: string, value: TableTypes[T], before: Row<TableTypes[T]> | undefined): void {
    this.#group(slot).writes.set(`${table}/${id}`, { kind: 'put', table, id, value, before });
  }

  delete(slot: string, table: TableName, row: Row<unknown> | undefined): void {
    if (row !== undefined) this.#group(slot).writes.set(`${table}/${row.id}`, { kind: 'delete', table, row });
  }

  require(slot: string, table: TableName, id: string, row: Row<unknown> | undefined): void {
    this.#group(slot).requires.push({ table, id, row });
  }

  event(slot: string, event: Omit<Event, 'timeUnixMs'>): void {
    this.#group(slot).events.push({ timeUnixMs: this.context.wallMs, ...event });
  }

  changeTask(facts: TaskFacts, change: Partial<Task>): void {
    this.put(slotOf(facts.task), 'tasks', facts.row.id, { ...facts.task, ...change }, facts.row);
  }

  /** A new task in the slot, with the slot's row. Its node is chosen by the scheduler, unless the slot is a node. */
  createTask(slot: string, target: Target, fields: Pick<Task, 'desired' | 'restart' | 'replaces' | 'slot' | 'nodeId'>): void {
    const { ids, wallMs } = this.context;
    const id = ids.next();
    const task: Task = {
      id,
      serviceId: this.serviceId,
      specNumber: target.number,
      drain: false,
      lost: false,
      verdict: { state: TaskState.PENDING, message: '', sinceUnixMs: wallMs },
      createdUnixMs: wallMs,
      ...fields,
    };
    this.put(slot, 'tasks', id, task, undefined);
    const key = slotId(this.serviceId, slot);
    this.put(slot, 'slots', key, { taskId: id }, this.view.get('slots', key));
  }

  /** Both rows, and the slot's row where it names this task. */
  deleteTask(facts: TaskFacts): void {
    const slot = slotOf(facts.task);
    this.delete(slot, 'tasks', facts.row);
    this.delete(slot, 'taskStatus', this.view.get('taskStatus', facts.row.id));
    const key = slotId(this.serviceId, slot);
    const row = this.view.get('slots', key);
    const replaced = this.#groups.get(slot)?.writes.get(`slots/${key}`)?.kind === 'put';
    if (row?.value.taskId === facts.row.id && !replaced) this.delete(slot, 'slots', row);
  }

  plan(): Plan {
    const groups: WriteGroup[] = [];
    for (const { writes, requires, events } of this.#groups.values()) {
      if (writes.size > 0) groups.push({ serviceId: this.serviceId, writes: [...writes.values()], requires, events });
    }
    return { groups, wakeInMs: this.#wakeInMs };
  }

  #group(slot: string): OpenGroup {
    let group = this.#groups.get(slot);
    if (group === undefined) {
      group = { writes: new Map(), requires: [], events: [] };
      this.#groups.set(slot, group);
    }
    return group;
  }
}

/** "3" for replicated, the node's id for global services. */
export function slotOf(task: Task): string {
  return task.slot > 0 ? String(task.slot) : task.nodeId;
}
