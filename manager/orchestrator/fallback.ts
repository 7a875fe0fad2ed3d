// Who goes first where places are scarce. A new task that is to run beside the old one, and fits nowhere: where it would fit in the old one's place,
// the old one goes first after all. And an old one that is to go first stays for as long as no node at all would take the new one.
import { isOutgrown } from './misfit.ts';
import type { Pass } from './pass.ts';
import { startsFirst } from './spec-rules.ts';
import type { TaskInfo } from './task-info.ts';

/** `holder` takes over from `old`, and the scheduler has said that no node takes it as things are, and would were `old` gone. */
export function fallsBack(pass: Pass, old: TaskInfo, holder: TaskInfo): boolean {
  if (!holder.isWaiting || holder.task.held || (holder.task.verdict?.message ?? '') === '' || holder.task.replaces !== old.row.id)
    return false;
  return holder.spec !== undefined && old.nodeCondition === 'ready' && pass.context.fitsInPlaceOf(old.row.id, holder.spec);
}

/** What is to take over from `old` would run nowhere, though it went first: until the progress deadline it may go on. */
export function staysFirst(pass: Pass, old: TaskInfo): boolean {
  if (pass.phase !== 'updating' || !old.isUp) return false;
  const { spec, specNumber, serviceId, context } = pass;
  if (pass.isGlobal) return !context.fitsInPlaceOf(old.row.id, spec);
  return !context.findsPlace({ replaces: old.row.id, serviceId, specNumber, spec });
}

/** It has stayed for that, and goes before its replacement starts. */
export function goesBefore(pass: Pass, old: TaskInfo): boolean {
  const isThere = !old.isEnded && old.nodeCondition !== 'down';
  return isThere && !startsFirst(pass.spec, pass.config.order) && (!pass.isClean(old) || isOutgrown(pass, old));
}
