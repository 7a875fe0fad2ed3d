// Global services: a slot on each node that may have one.
import { Availability, TaskState } from '../../proto/index.ts';
import { takesGlobalTask } from '../constraint/index.ts';
import type { DrainView } from './drain.ts';
import { clear } from './reap.ts';
import { type Slot, stop } from './slots.ts';
import type { TaskFacts } from './task-facts.ts';
import type { Target, Work } from './work.ts';

/** Slots to be kept, new ones without a task among them. Nodes that may no longer have a task lose it here. */
export function wantedNodes(
  work: Work,
  slots: ReadonlyMap<string, Slot>,
  target: Target,
  drain: () => DrainView,
  meetsConstraints: (facts: TaskFacts) => boolean,
): readonly Slot[] {
  const wanted: Slot[] = [];
  for (const slot of slots.values()) {
    if (mayStay(work, slot, meetsConstraints)) wanted.push(slot);
    else for (const facts of slot.tasks) if (!clear(work, facts)) stop(work, facts, TaskState.REMOVE, drain);
  }
  const placement = target.spec.task?.placement;
  for (const { id, value } of work.view.all('nodes')) {
    if (slots.has(id) || !takesGlobalTask(placement, value, work.view.get('nodeStatus', id)?.value)) continue;
    wanted.push({ key: id, tasks: [], holder: undefined });
  }
  return wanted;
}

/** A paused node keeps what it has, and so does one that is down for a while. */
function mayStay(work: Work, slot: Slot, meetsConstraints: (facts: TaskFacts) => boolean): boolean {
  const node = work.view.get('nodes', slot.key)?.value;
  if (node === undefined || node.spec?.availability === Availability.DRAIN) return false;
  const [latest] = slot.tasks;
  return latest === undefined || meetsConstraints(latest);
}
