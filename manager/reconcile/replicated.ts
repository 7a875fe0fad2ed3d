// Replicated services: which slots there shall be.
import { TaskState } from '../../proto/index.ts';
import { clear } from './reap.ts';
import type { DrainView } from './drain.ts';
import { misplacementOf, type Slot, stop } from './slots.ts';
import { isFinished, isLive, type TaskFacts } from './task-facts.ts';
import type { Target, Work } from './work.ts';

/** Slots to be kept, the new ones among them with no task yet. All others are stopped and cleared here. */
export function wantedSlots(
  work: Work,
  slots: ReadonlyMap<string, Slot>,
  target: Target,
  drain: () => DrainView,
  meetsConstraints: (facts: TaskFacts) => boolean,
): readonly Slot[] {
  const { replicas } = target.spec;
  const inUse = [...slots.values()].filter(isInUse);
  const kept = inUse.length > replicas ? keep(inUse, replicas) : inUse;
  const wanted = new Set(kept.map((slot) => slot.key));
  if (wanted.size < replicas) takeUpDraining(work, slots, wanted, target, meetsConstraints);
  const result = [...wanted].map((key) => slots.get(key) ?? empty(key));
  for (let number = 1; result.length < replicas; number++) {
    const key = String(number);
    if (wanted.has(key)) continue;
    const present = slots.get(key);
    // A slot whose tasks are still ending is not filled again before they have.
    if (present?.tasks.some((facts) => !isFinished(facts)) === true) continue;
    result.push(present ?? empty(key));
    wanted.add(key);
  }
  for (const slot of slots.values()) {
    if (!wanted.has(slot.key)) giveUp(work, slot, drain);
  }
  return result;
}

/** Has a task that is meant to run, or ended without being told to. One that only drains has been given up. */
function isInUse({ tasks }: Slot): boolean {
  return tasks.some(({ task }) => task.desired <= TaskState.RUNNING && !task.drain);
}

/** Given up first: unassigned tasks, then those on nodes with most copies, not running before running, highest slot. */
function keep(slots: readonly Slot[], count: number): readonly Slot[] {
  const copies = new Map<string, number>();
  for (const { holder } of slots)
    if (holder !== undefined && holder.task.nodeId !== '') copies.set(holder.task.nodeId, (copies.get(holder.task.nodeId) ?? 0) + 1);
  const left = [...slots];
  while (left.length > count) {
    let victim = 0;
    for (let index = 1; index < left.length; index++) {
      if (isBetterVictim(left[index], left[victim], copies)) victim = index;
    }
    const [removed] = left.splice(victim, 1);
    const nodeId = removed?.holder?.task.nodeId ?? '';
    if (nodeId !== '') copies.set(nodeId, (copies.get(nodeId) ?? 1) - 1);
  }
  return left;
}

function isBetterVictim(a: Slot | undefined, b: Slot | undefined, copies: ReadonlyMap<string, number>): boolean {
  const [rankA, rankB] = [rank(a, copies), rank(b, copies)];
  for (const [index, value] of rankA.entries()) {
    const other = rankB[index] ?? 0;
    if (value !== other) return value > other;
  }
  return false;
}

function rank(slot: Slot | undefined, copies: ReadonlyMap<string, number>): readonly number[] {
  const holder = slot?.holder;
  const nodeId = holder?.task.nodeId ?? '';
  return [nodeId === '' ? 1 : 0, copies.get(nodeId) ?? 0, holder?.state === TaskState.RUNNING ? 0 : 1, Number(slot?.key)];
}

/** A replica that was about to go, and is wanted again, need not. */
function takeUpDraining(
  work: Work,
  slots: ReadonlyMap<string, Slot>,
  wanted: Set<string>,
  target: Target,
  meetsConstraints: (facts: TaskFacts) => boolean,
): void {
  const draining = [...slots.values()].filter((slot) => !wanted.has(slot.key)).sort((a, b) => Number(a.key) - Number(b.key));
  for (const slot of draining) {
    if (wanted.size >= target.spec.replicas) return;
    const facts = slot.tasks.find((each) => isLive(each) && each.task.drain);
    if (facts === undefined || misplacementOf(facts, target, meetsConstraints(facts)) !== undefined) continue;
    work.changeTask(facts, { drain: false });
    wanted.add(slot.key);
  }
}

function giveUp(work: Work, slot: Slot, drain: () => DrainView): void {
  for (const facts of slot.tasks) {
    if (!clear(work, facts)) stop(work, facts, TaskState.REMOVE, drain);
  }
}

function empty(key: string): Slot {
  return { key, tasks: [], holder: undefined };
}
