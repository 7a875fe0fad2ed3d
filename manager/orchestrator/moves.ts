// Replacing tasks that still run: by an update, away from a drained node, away from a node that they no longer fit. Never more slots at once than
// the update limits allow, so that the service keeps what it must have; but what must not be on its node any more goes at once.
import { TaskState } from '../../proto/index.ts';
import { isGivenUp } from './failure.ts';
import { staysFirst } from './fallback.ts';
import type { Pass } from './pass.ts';
import type { SlotEdit } from './slot-edit.ts';
import { makeTask, nextSpecNumber } from './making.ts';
import { evictionReason, isOutgrown, misfit, stopVerdict } from './misfit.ts';
import type { SlotTasks } from './slot.ts';
import { startsFirst } from './spec-rules.ts';
import { stopTask } from './stop.ts';
import { taskEvent } from './task-events.ts';
import { isDrained, type TaskInfo } from './task-info.ts';

export interface MovesOutcome {
  /** Slots on the way from one task to another, those begun now included. */
  readonly moving: number;
  /** Slots that have yet to be moved. */
  readonly waiting: number;
}

interface Candidate {
  readonly edit: SlotEdit;
  readonly holder: TaskInfo;
  readonly reason: MoveReason;
  readonly isMoving: boolean;
}

export type MoveReason = 'update' | 'drain' | 'misfit' | 'eviction' | 'rebalance';

/** For slots that `settleSlot` has seen. `unwanted` ones that still run twice take their places among those on the way. */
export function planMoves(pass: Pass, edits: readonly SlotEdit[], unwanted: readonly SlotTasks[]): MovesOutcome {
  const limit = pass.config.parallelism === 0 ? Number.POSITIVE_INFINITY : pass.config.parallelism;
  const candidates: Candidate[] = [];
  let moving = unwanted.filter(runsTwice).length;
  for (const edit of edits) {
    if (edit.isReturned) continue;
    const isMoving = isOnItsWay(pass, edit);
    if (isMoving) moving++;
    const { holder } = edit.slot;
    const reason = holder === undefined || edit.created !== undefined ? undefined : moveReason(pass, holder);
    if (holder !== undefined && reason !== undefined) candidates.push({ edit, holder, reason, isMoving });
  }
  candidates.sort(byUrgency);
  let waiting = 0;
  for (const candidate of candidates) {
    // One step at a time: what it replaced has to be gone first.
    const isBusy = candidate.isMoving && candidate.holder.isUp;
    if (isBusy || (!candidate.isMoving && candidate.reason !== 'eviction' && moving >= limit)) {
      waiting++;
      continue;
    }
    if (!candidate.isMoving) moving++;
    moveTask(pass, candidate.edit, candidate.holder, candidate.reason);
  }
  return { moving, waiting };
}

function runsTwice({ holder, others }: SlotTasks): boolean {
  const runs = (info: TaskInfo | undefined): boolean => info !== undefined && !info.isEnded && info.nodeCondition !== 'down';
  return others.filter(runs).length + Number(runs(holder)) > 1;
}

/** Those first that cannot wait; then those that serve nobody anyway; then those that must go for their node's sake. */
function byUrgency(one: Candidate, other: Candidate): number {
  return (
    Number(other.reason === 'eviction') - Number(one.reason === 'eviction') ||
    Number(one.holder.isUp) - Number(other.holder.isUp) ||
    Number(one.reason === 'update') - Number(other.reason === 'update') ||
    one.holder.task.slot - other.holder.task.slot ||
    (one.edit.slot.key < other.edit.slot.key ? -1 : 1)
  );
}

/** Undefined: it may stay where it is, and as it is. */
export function moveReason(pass: Pass, holder: TaskInfo): MoveReason | undefined {
  if (holder.isEnded || holder.nodeCondition !== 'ready' || holder.task.desired > TaskState.RUNNING) return undefined;
  const isClean = pass.isClean(holder);
  // A global task whose node does not qualify any more is not moved but removed.
  if (!pass.isGlobal && isDrained(holder.node)) return 'drain';
  if (evictionReason(pass, holder) !== undefined) return 'eviction';
  if (pass.phase === 'paused') return undefined;
  if (isOutgrown(pass, holder)) return 'misfit';
  return isClean ? undefined : 'update';
}

/** Its work is between two tasks: the next move waits for it. */
function isOnItsWay(pass: Pass, edit: SlotEdit): boolean {
  const { holder, others } = edit.slot;
  if (edit.created === undefined && isGivenUp(pass, edit.slot)) return false;
  // Also while what was replaced is stopping: until then both take up room.
  if (others.some((other) => !other.isEnded && other.nodeCondition !== 'down')) return true;
  if (edit.created !== undefined) return edit.created.replaces !== '';
  if (holder === undefined || holder.isFinished || holder.task.desired > TaskState.RUNNING || holder.task.replaces === '') return false;
  if (!pass.isClean(holder)) return false;
  if (holder.isUp) return isInDelay(pass, holder);
  // A global task waits for its node, and the others do not wait for it.
  return holder.nodeCondition !== 'down';
}

/** The update's delay runs from when the new task came up. */
function isInDelay(pass: Pass, holder: TaskInfo): boolean {
  if (pass.phase !== 'updating' || pass.config.delayMs === 0 || !pass.isNew(holder)) return false;
  const leftMs = pass.config.delayMs - pass.sinceMs(`up:${holder.row.id}`);
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs > 0;
}

/** `why`: of a rebalancing. */
export function moveTask(pass: Pass, edit: SlotEdit, holder: TaskInfo, reason: MoveReason, why = ''): void {
  const isStartFirst = holder.isUp && startsFirst(pass.spec, pass.config.order);
  const stays = !isStartFirst && (reason === 'update' || reason === 'misfit') && staysFirst(pass, holder);
  if (stays)
    edit.addEvent(taskEvent(pass, edit.slot, holder, 'stay', 'no node would take its replacement: it is not stopped before one does'));
  if (!isStartFirst && !stays) stopTask(pass, edit, holder, TaskState.SHUTDOWN, stopVerdict(pass, holder));
  // Updates and rebalancing have limits of their own.
  const isMove = reason !== 'update' && reason !== 'rebalance';
  makeTask(pass, edit, { replaced: holder, restart: undefined, specNumber: nextSpecNumber(pass, holder), isMove });
  if (reason === 'rebalance')
    edit.addEvent(taskEvent(pass, edit.slot, holder, 'move', `rebalancing (${why}): the task is replaced elsewhere`));
  if (reason === 'drain') edit.addEvent(taskEvent(pass, edit.slot, holder, 'move', 'its node is drained: the task is replaced elsewhere'));
  const problem = reason === 'eviction' ? evictionReason(pass, holder) : reason === 'misfit' ? misfit(pass, holder) : undefined;
  if (problem !== undefined) {
    const cause = holder.task.preempted === '' ? `it no longer fits its node (${problem})` : problem;
    edit.addEvent(taskEvent(pass, edit.slot, holder, 'move', `${cause}: the task is replaced elsewhere`));
  }
}
