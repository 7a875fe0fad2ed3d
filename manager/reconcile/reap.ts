// Forgets what nobody needs any more: tasks that were removed, history beyond its limit, specs that no task uses.
import { TaskState } from '../../proto/index.ts';
import type { Slot } from './slots.ts';
import { isFinished, isNodeDown, type TaskFacts } from './task-facts.ts';
import type { Target, Work } from './work.ts';

const DEFAULT_HISTORY = 5;
/** Specs kept below the newest, for `service inspect` and later `service rollback`. */
const KEPT_SPECS = 5;

/** Deletes the task's rows if nothing of it can still run, or its node is down and will be told to remove it when it returns. */
export function clear(work: Work, facts: TaskFacts): boolean {
  const { task } = facts;
  const nobodyHasIt = task.nodeId === '' || facts.node === undefined || (isNodeDown(facts) && task.lost);
  if (!nobodyHasIt && !isFinished(facts)) return false;
  work.deleteTask(facts);
  return true;
}

export function reapHistory(work: Work, slots: Iterable<Slot>): void {
  const limit = work.view.get('cluster', '')?.value.settings?.taskHistoryLimit ?? DEFAULT_HISTORY;
  for (const slot of slots) {
    const finished = slot.tasks.filter((facts, index) => isFinished(facts) && (index > 0 || facts.task.desired > TaskState.RUNNING));
    for (const facts of finished.slice(limit)) work.deleteTask(facts);
    for (const facts of slot.tasks) if (facts.task.desired === TaskState.REMOVE) clear(work, facts);
  }
}

export function reapSpecs(work: Work, tasks: readonly TaskFacts[], target: Target | undefined): void {
  const used = new Set(tasks.map(({ task }) => task.specNumber));
  for (const row of work.view.specsOfService(work.serviceId)) {
    const { number } = row.value;
    const kept = target !== undefined && number >= target.number - KEPT_SPECS;
    if (!kept && !used.has(number)) work.delete('specs', 'specs', row);
  }
}
