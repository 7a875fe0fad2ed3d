// Tasks of other services that a rehearsed change makes leave: what becomes of each.
import { PlannedAction, PlannedTask } from '../../proto/index.ts';
import { slotKeyOf, slotsOf } from '../orchestrator/slot.ts';
import type { TaskInfo } from '../orchestrator/task-info.ts';
import { specOf } from '../state/index.ts';
import { nodeName } from './node-tenants.ts';
import type { Rehearsal } from './rehearsal.ts';
import { placeOf } from './service-scene.ts';

/** By name. The reason names for whom; of one that finds no other node, also why. */
export function displacedTasks({ displaced, state }: Pick<Rehearsal, 'displaced' | 'state'>): readonly PlannedTask[] {
  const tasks = [...displaced.values()].map((task) => {
    const key = slotKeyOf(task);
    const holder = slotsOf(state, task.serviceId).get(key)?.holder;
    const service = specOf(state, task.serviceId, task.specNumber)?.name ?? task.serviceId;
    const isMoved = holder !== undefined && !holder.isWaiting && holder.row.id !== task.id;
    return PlannedTask.create({
      name: `${service}.${placeOf(key)}`,
      action: isMoved ? PlannedAction.PLAN_MOVE : PlannedAction.PLAN_WAIT,
      ...{ fromNodeId: task.nodeId, fromHostname: nodeName(state, task.nodeId) },
      ...(isMoved ? { toNodeId: holder.task.nodeId, toHostname: nodeName(state, holder.task.nodeId) } : {}),
      reason: [task.preempted, waitReason(holder)].filter((part) => part !== '').join('; '),
    });
  });
  return tasks.sort((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }));
}

function waitReason(holder: TaskInfo | undefined): string {
  return holder?.isWaiting === true ? (holder.task.verdict?.message ?? '') : '';
}
