// How many slots are served, by whichever task: while a new one is not up, the one before it may still be.
import type { SlotTasks } from '../orchestrator/slot.ts';
import type { TaskInfo } from '../orchestrator/task-info.ts';
import { isOutdated, type ServiceScene } from './service-scene.ts';

/** Not what runs beside them on trial. `earlier`: those of `running` whose task is of an earlier version. */
export function servedSlots(scene: ServiceScene): { readonly running: number; readonly earlier: number } {
  const slots = scene.filled.filter(({ holder }) => holder?.task.canary !== true);
  const serving = slots.map(servingTask).filter((info) => info !== undefined);
  return { running: serving.length, earlier: serving.filter((info) => isOutdated(scene, info)).length };
}

/** Up, and not about to leave. */
function servingTask({ holder, others }: SlotTasks): TaskInfo | undefined {
  return holder?.isUp === true ? holder : others.findLast(servesOn);
}

/** It has the slot no more, and fills it still. */
export function servesOn(other: TaskInfo): boolean {
  return other.isUp && !other.task.drain && !other.task.lost;
}
