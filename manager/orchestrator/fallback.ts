// A new task that is to run beside the old one, and fits nowhere: where it would fit in the old one's place, the old one goes first after all.
import type { Pass } from './pass.ts';
import type { TaskInfo } from './task-info.ts';

/** `holder` takes over from `old`, and the scheduler has said that no node takes it as things are, and would were `old` gone. */
export function fallsBack(pass: Pass, old: TaskInfo, holder: TaskInfo): boolean {
  if (!holder.isWaiting || holder.task.held || (holder.task.verdict?.message ?? '') === '' || holder.task.replaces !== old.row.id)
    return false;
  return holder.spec !== undefined && old.nodeCondition === 'ready' && pass.context.fitsInPlaceOf(old.row.id, holder.spec);
}
