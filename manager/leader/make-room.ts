// Tasks of lower priority that leave for one that finds no room: marked in the store, so that whoever leads brings them to their end.
import { type Task, TaskState } from '../../proto/index.ts';
import type { PlannedPut, PlannedWrite, WriteGroup } from '../orchestrator/plan.ts';
import type { Preemption, Tenants } from '../scheduler/index.ts';
import { specOf, type StateView } from '../state/index.ts';

/** Undefined: the cluster does not allow it. Tasks that the plan writes (`touched`) stay out of it: the next pass sees what has become of them. */
export function tenantsOf(state: StateView, touched: ReadonlySet<string>): Tenants | undefined {
  const gap = state.get('cluster', '')?.value.settings?.preemptionGap ?? 0;
  return gap === 0 ? undefined : tenantsAbove(state, gap, touched);
}

/** As if the cluster allowed it with that gap. */
export function tenantsAbove(state: StateView, gap: number, touched: ReadonlySet<string>): Tenants {
  return {
    gap,
    *on(nodeId) {
      for (const { id } of state.tasksOfNode(nodeId)) yield id;
    },
    mayLeave(taskId) {
      const task = state.get('tasks', taskId)?.value;
      // Slot 0: a global task, whose slot is this very node.
      return task !== undefined && task.slot > 0 && task.desired <= TaskState.COMPLETE && !touched.has(taskId);
    },
  };
}

/** One group for each task that leaves. */
export function makeRoom(task: Task, preemption: Preemption | undefined, state: StateView): readonly WriteGroup[] {
  if (preemption === undefined) return [];
  const service = state.get('services', task.serviceId)?.value.name ?? task.serviceId;
  const priority = specOf(state, task.serviceId, task.specNumber)?.task?.placement?.priority ?? 0;
  const preempted = `preempted: it makes room for ${service}.${task.slot} of priority ${priority}`;
  return preemption.taskIds.flatMap((id) => {
    const before = state.get('tasks', id);
    if (before === undefined) return [];
    const put: PlannedPut<'tasks'> = { kind: 'put', table: 'tasks', id, value: { ...before.value, preempted }, before };
    const writes: readonly PlannedWrite[] = [put];
    return [{ serviceId: before.value.serviceId, writes, requires: [], events: [] }];
  });
}
