// Places tasks by the scheduler alone, each service for itself: what a leader does, without its queues and memory.
import type { PlannedWrite, WriteGroup } from '../../manager/orchestrator/plan.ts';
import { demandOf, Inventory, place } from '../../manager/scheduler/index.ts';
import { specOf, type StateView } from '../../manager/state/index.ts';
import { type Task, TaskState } from '../../proto/index.ts';
import { idOf } from './model-checks.ts';

/** What each node has left by what is stored. */
export function inventoryOf(state: StateView): Inventory {
  const inventory = new Inventory();
  for (const { id, value } of state.all('nodes')) inventory.putNode(value, state.get('nodeStatus', id)?.value);
  for (const { id, value } of state.all('tasks')) {
    const spec = specOf(state, value.serviceId, value.specNumber);
    const isThere =
      value.nodeId !== '' &&
      value.verdict?.state !== TaskState.PENDING &&
      (state.get('taskStatus', id)?.value.state ?? TaskState.NEW) < TaskState.COMPLETE;
    if (isThere) inventory.putTask(demandOf(value, spec?.task, spec?.ports ?? []));
  }
  return inventory;
}

/** As the leader does: new tasks, and those that wait already, get their node in the same transaction. */
export function placed(state: StateView, serviceId: string, groups: readonly WriteGroup[], nowMs: number): readonly WriteGroup[] {
  const inventory = inventoryOf(state);
  const touched = new Set(groups.flatMap((group) => group.writes.filter(({ table }) => table === 'tasks').map(idOf)));
  const extra = [...state.tasksOfService(serviceId)]
    .filter((task) => isWaiting(task.value) && !touched.has(task.id))
    .map((task): WriteGroup => {
      const write: PlannedWrite = { kind: 'put', table: 'tasks', id: task.id, value: task.value, before: task };
      return { serviceId, writes: [write], requires: [], events: [] };
    });
  return [...groups, ...extra].map((group) => ({
    ...group,
    writes: group.writes.map((write) => placedWrite(state, inventory, write, nowMs)),
  }));
}

function placedWrite(state: StateView, inventory: Inventory, write: PlannedWrite, nowMs: number): PlannedWrite {
  if (write.kind !== 'put' || write.table !== 'tasks') return write;
  const task = write.value as Task;
  const spec = specOf(state, task.serviceId, task.specNumber);
  if (!isWaiting(task) || spec?.task === undefined) return write;
  const fixed = task.nodeId === '' ? {} : { nodeId: task.nodeId };
  const request = {
    taskId: task.id,
    serviceId: task.serviceId,
    specNumber: task.specNumber,
    spec: spec.task,
    ports: spec.ports,
    ...fixed,
  };
  const [result] = place(inventory, [request], nowMs);
  const verdict =
    result?.nodeId === undefined
      ? { state: TaskState.PENDING, message: result?.explanation ?? '', sinceUnixMs: 0 }
      : { state: TaskState.ASSIGNED, message: '', sinceUnixMs: 0 };
  const genericResources = result?.nodeId === undefined ? task.genericResources : result.generics;
  return { ...write, value: { ...task, nodeId: result?.nodeId ?? task.nodeId, genericResources, verdict } };
}

function isWaiting(task: Task): boolean {
  return task.verdict?.state === TaskState.PENDING && !task.held && task.desired <= TaskState.COMPLETE;
}
