// How tasks and nodes are called in front of users.
import type { Task } from '../../proto/index.ts';
import { shownSlot, specOf, type StateView } from '../state/index.ts';

/** "3", or the node's id for a task of a global service (empty until it is placed). Slots of a replicated job count from 0. */
export function slotOf(task: Task): string {
  return task.slot === 0 ? task.nodeId : String(shownSlot(task));
}

/** "web.3", "web.<node id>". */
export function taskName(state: StateView, task: Task): string {
  return `${serviceName(state, task)}.${slotOf(task)}`;
}

/** Of a removed service as its spec still says it; its id once that is gone too. */
export function serviceName(state: StateView, task: Task): string {
  const service = state.get('services', task.serviceId)?.value.name;
  return service ?? specOf(state, task.serviceId, task.specNumber)?.name ?? task.serviceId;
}

/** Empty until the node has described itself. */
export function hostnameOf(state: StateView, nodeId: string): string {
  return state.get('nodeStatus', nodeId)?.value.description?.hostname ?? '';
}
