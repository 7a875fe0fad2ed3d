// Runs the scheduler over the waiting tasks of one pass and writes its decisions into the plan.
import type { Clock } from '../../lib/clock.ts';
import { type Task, TaskState } from '../../proto/index.ts';
import type { PlannedPut, PlannedWrite, WriteGroup } from '../orchestrator/plan.ts';
import { place, type PlacementRequest, type PlacementResult } from '../scheduler/index.ts';
import { specOf, type StateView } from '../state/index.ts';
import type { InventoryFeed } from './inventory-feed.ts';
import { makeRoom, tenantsOf } from './make-room.ts';

export interface Placed {
  readonly groups: readonly WriteGroup[];
  /** Tasks that the inventory now counts on a node though the store does not know yet. */
  readonly assumed: readonly string[];
}

interface Waiting {
  readonly request: PlacementRequest;
  readonly put: PlannedPut<'tasks'>;
}

/**
 * Places every waiting task that the groups write, and those of `services` that the state already holds and no group touches.
 * A task whose explanation did not change is left alone.
 */
export function placeWaiting(
  groups: readonly WriteGroup[],
  services: readonly string[],
  state: StateView,
  feed: InventoryFeed,
  clock: Clock,
): Placed {
  const inPlan = waitingInPlan(groups, state);
  // Those that are deleted, too: they are not to come back with a node.
  const touched = new Set(groups.flatMap((group) => group.writes.filter((write) => write.table === 'tasks').map(idOf)));
  const inState = services.flatMap((serviceId) => waitingInState(serviceId, touched, state));
  const waiting = [...inPlan, ...inState];
  if (waiting.length === 0) return { groups, assumed: [] };
  // Room may have been made for them: it is free for those that are placed now.
  for (const taskId of givenUpWaiting(groups)) feed.inventory.removeTask(taskId);
  for (const { put } of waiting) feed.aboutToReplace(put.value);
  const staying = stayingInPlan(groups);
  for (const task of staying) feed.aboutToStay(task);
  const results = place(
    feed.inventory,
    waiting.map(({ request }) => request),
    clock.nowMs(),
    tenantsOf(state, touched),
  );
  const decided = new Map<string, Task>();
  const assumed = staying.map(({ id }) => id);
  for (const [index, result] of results.entries()) {
    const task = waiting[index]?.put.value;
    if (task === undefined) continue;
    if (result.nodeId !== undefined) assumed.push(task.id);
    else feed.notPlaced(task.id);
    decided.set(task.id, decision(task, result, clock.wallMs()));
  }
  const extra = inState.flatMap(({ put }) => {
    const task = decided.get(put.id);
    if (task === undefined || task === put.value) return [];
    return [{ serviceId: task.serviceId, writes: [{ ...put, value: task }], requires: [], events: [] }];
  });
  const leaving = results.flatMap((result, index) => {
    const task = waiting[index]?.put.value;
    return task === undefined || result.nodeId !== undefined ? [] : makeRoom(task, result.preemption, state);
  });
  return { groups: [...groups.map((group) => withDecisions(group, decided)), ...extra, ...leaving], assumed };
}

export function isWaiting(task: Task): boolean {
  return task.verdict?.state === TaskState.PENDING && !task.held && task.desired <= TaskState.COMPLETE;
}

function waitingInPlan(groups: readonly WriteGroup[], state: StateView): Waiting[] {
  return groups.flatMap((group) =>
    group.writes.flatMap((write) => {
      if (write.kind !== 'put' || write.table !== 'tasks') return [];
      const put = write as PlannedPut<'tasks'>;
      return isWaiting(put.value) ? waitingOf(put, state) : [];
    }),
  );
}

/** Those that wait in the state, and no longer do in the plan. */
function givenUpWaiting(groups: readonly WriteGroup[]): string[] {
  return groups.flatMap((group) =>
    group.writes.flatMap((write) => {
      if (write.table !== 'tasks') return [];
      if (write.kind === 'delete') return isWaiting(write.row.value as Task) ? [write.row.id] : [];
      const { id, before, value } = write as PlannedPut<'tasks'>;
      return before !== undefined && isWaiting(before.value) && !isWaiting(value) ? [id] : [];
    }),
  );
}

/** Those that were given up, for a node that is back or no longer drained, and go on running there. */
function stayingInPlan(groups: readonly WriteGroup[]): Task[] {
  return groups.flatMap((group) =>
    group.writes.flatMap((write) => {
      if (write.kind !== 'put' || write.table !== 'tasks') return [];
      const { before, value } = write as PlannedPut<'tasks'>;
      return before !== undefined && isGivenUp(before.value) && !isGivenUp(value) ? [value] : [];
    }),
  );
}

function isGivenUp({ lost, drain, desired }: Task): boolean {
  return lost || drain || desired > TaskState.COMPLETE;
}

function waitingInState(serviceId: string, touched: ReadonlySet<string>, state: StateView): Waiting[] {
  const waiting: Waiting[] = [];
  for (const row of state.tasksOfService(serviceId)) {
    if (touched.has(row.id) || !isWaiting(row.value)) continue;
    waiting.push(...waitingOf({ kind: 'put', table: 'tasks', id: row.id, value: row.value, before: row }, state));
  }
  return waiting;
}

function waitingOf(put: PlannedPut<'tasks'>, state: StateView): Waiting[] {
  const task = put.value;
  const spec = specOf(state, task.serviceId, task.specNumber);
  if (spec?.task === undefined) return [];
  const fixed = task.nodeId === '' ? {} : { nodeId: task.nodeId };
  return [
    {
      put,
      request: { taskId: task.id, serviceId: task.serviceId, specNumber: task.specNumber, spec: spec.task, ports: spec.ports, ...fixed },
    },
  ];
}

/** The task itself where nothing changed. */
function decision(task: Task, result: PlacementResult, wallMs: number): Task {
  if (result.nodeId !== undefined) {
    const verdict = { state: TaskState.ASSIGNED, message: '', sinceUnixMs: wallMs };
    return { ...task, nodeId: result.nodeId, genericResources: result.generics, verdict };
  }
  const { explanation } = result;
  if (task.verdict?.message === explanation) return task;
  return { ...task, verdict: { state: TaskState.PENDING, message: explanation, sinceUnixMs: task.verdict?.sinceUnixMs ?? wallMs } };
}

function withDecisions(group: WriteGroup, decided: ReadonlyMap<string, Task>): WriteGroup {
  if (!group.writes.some((write) => write.kind === 'put' && write.table === 'tasks' && decided.has(write.id))) return group;
  const writes = group.writes.map((write) => {
    const task = write.kind === 'put' && write.table === 'tasks' ? decided.get(write.id) : undefined;
    return task === undefined ? write : ({ ...write, value: task } as PlannedWrite);
  });
  return { ...group, writes };
}

function idOf(write: PlannedWrite): string {
  return write.kind === 'put' ? write.id : write.row.id;
}
