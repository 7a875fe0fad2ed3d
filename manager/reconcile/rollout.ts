// Moves running tasks to where and what they should be: a new spec, or off a node that may no longer have them. Within the update limits,
// start-first or stop-first, and never on before the slots begun are in place.
import { type ServiceSpec, TaskState, UpdateConfig } from '../../proto/index.ts';
import type { DrainView } from './drain.ts';
import { nextAttempt, ranForMs } from './restart.ts';
import { isInPlace, type Misplacement, type Slot, stop } from './slots.ts';
import { orderOf } from './spec-change.ts';
import { isFinished, isReady, type TaskFacts } from './task-facts.ts';
import type { Target, Work } from './work.ts';

export interface RolloutSlot {
  readonly slot: Slot;
  readonly misplacement: Misplacement;
  /** Of a new task: the slot's number, and its node where the slot is one. */
  readonly where: { readonly slot: number; readonly nodeId: string };
}

const DEFAULTS = UpdateConfig.create({ parallelism: 1, monitorMs: 5000 });

/** `paused`: nothing new is begun for the sake of the spec; nodes are left all the same. Answers how many slots the spec has yet to reach. */
export function rollOut(work: Work, slots: readonly RolloutSlot[], target: Target, drain: () => DrainView, paused: boolean): number {
  const config = configOf(target.spec);
  const underWay = new Set(slots.filter(({ slot }) => isUnderWay(work, slot, config)));
  for (const { slot } of slots) endOlder(work, slot, drain);
  const limit = config.parallelism === 0 ? slots.length : config.parallelism;
  let room = limit - underWay.size;
  for (const each of slots) {
    if (room <= 0) break;
    if (underWay.has(each) || each.misplacement === undefined || (paused && each.misplacement === 'spec')) continue;
    if (begin(work, each, target, drain)) room--;
  }
  return slots.filter((each) => each.misplacement === 'spec' || (underWay.has(each) && each.slot.holder?.task.specNumber === target.number))
    .length;
}

/** The slot, if any, in which a task of the new spec failed before it had run for the monitoring time. */
export function failedUpdate(work: Work, slots: readonly RolloutSlot[], target: Target): string | undefined {
  const { monitorMs } = configOf(target.spec);
  const isFailure = (facts: TaskFacts): boolean =>
    facts.task.specNumber === target.number &&
    facts.task.replaces !== '' &&
    (facts.state === TaskState.FAILED || facts.state === TaskState.REJECTED) &&
    ranForMs(work, facts) < monitorMs;
  return slots.find(({ slot }) => slot.tasks.some(isFailure))?.slot.key;
}

/** Every new task has been in place for the monitoring time. Asks for each of them, so that their times run together. */
export function isMonitored(work: Work, slots: readonly RolloutSlot[], target: Target): boolean {
  const { monitorMs } = configOf(target.spec);
  const waiting = slots.filter(({ slot }) => {
    const { holder } = slot;
    if (holder === undefined || holder.task.specNumber !== target.number || holder.task.replaces === '') return false;
    return !isInPlace(slot) || work.elapsedMs(`monitor:${holder.row.id}`, monitorMs) < monitorMs;
  });
  return waiting.length === 0;
}

function configOf(spec: ServiceSpec): UpdateConfig {
  return spec.update ?? DEFAULTS;
}

/** Replaced, and not yet in place; or in place for less than the update's delay. */
function isUnderWay(work: Work, slot: Slot, config: UpdateConfig): boolean {
  const { holder } = slot;
  if (holder === undefined) return false;
  if (holder.task.drain || slot.tasks.some((other) => isInTheWay(other, holder))) return true;
  if (holder.task.replaces === '' || holder.task.restart !== undefined) return false;
  if (!isInPlace(slot)) return true;
  return config.delayMs > 0 && work.elapsedMs(`in-place:${holder.row.id}`, config.delayMs) < config.delayMs;
}

function isInTheWay(other: TaskFacts, holder: TaskFacts): boolean {
  return other !== holder && !isFinished(other) && !other.task.lost;
}

/**
 * Makes the task that takes over; with stop-first also begins to stop the present one. After a failed try the restart policy says when,
 * and whether at all: false where it is not to be.
 */
function begin(work: Work, { slot, where, misplacement }: RolloutSlot, target: Target, drain: () => DrainView): boolean {
  const { holder } = slot;
  const [latest] = slot.tasks;
  if (holder === undefined || latest === undefined) return false;
  const retry =
    latest !== holder && isFinished(latest) && latest.task.desired <= TaskState.RUNNING
      ? nextAttempt(work, latest, target)
      : { attempt: 0, delayMs: 0 };
  if (retry === undefined) return false;
  const startFirst = orderOf(target.spec) === 'start-first' && isReady(holder);
  const restart = retry.attempt === 0 ? undefined : retry;
  const desired = startFirst && retry.delayMs === 0 ? TaskState.RUNNING : TaskState.READY;
  work.createTask(slot.key, target, { ...where, desired, restart, replaces: latest.row.id });
  if (latest !== holder) work.changeTask(latest, { desired: TaskState.SHUTDOWN });
  if (!startFirst) stop(work, holder, TaskState.SHUTDOWN, drain);
  if (misplacement !== 'spec') work.event(slot.key, moveEvent(holder, misplacement));
  return true;
}

/** Ends the older tasks of a slot: at once where they had to stop first, else once the new one is ready. */
function endOlder(work: Work, { tasks, holder }: Slot, drain: () => DrainView): void {
  if (holder === undefined) return;
  for (const older of tasks) {
    if (!isInTheWay(older, holder) || older.task.desired > TaskState.RUNNING) continue;
    if (older.task.drain || isReady(holder) || cannotFit(holder)) stop(work, older, TaskState.SHUTDOWN, drain);
  }
}

/** Start-first that finds no place beside the old task falls back to stop-first. */
function cannotFit({ task }: TaskFacts): boolean {
  return task.verdict?.state === TaskState.PENDING && task.verdict.message !== '';
}

function moveEvent(facts: TaskFacts, misplacement: Misplacement) {
  return {
    type: 'task',
    action: 'move',
    objectId: facts.row.id,
    objectName: facts.spec?.name ?? facts.task.serviceId,
    message: misplacement === 'constraints' ? 'its node no longer meets its constraints' : 'its node is being drained',
    attributes: { node: facts.nodeStatus?.description?.hostname ?? facts.task.nodeId },
  };
}
