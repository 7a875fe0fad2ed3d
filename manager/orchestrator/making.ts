// New tasks: by which spec, and held back or not.
import { type TaskRestart, TaskState } from '../../proto/index.ts';
import { hasJustFailed } from './failure.ts';
import { goesBefore } from './fallback.ts';
import { holdMessage, holdMs, movesAfter } from './move-damping.ts';
import type { Pass } from './pass.ts';
import { noteAttempt } from './restart-window.ts';
import { besideSlotKey } from './slot.ts';
import type { SlotEdit } from './slot-edit.ts';
import { samePlacement } from './spec-rules.ts';
import { isLeaving } from './stop.ts';
import type { TaskInfo } from './task-info.ts';

export interface Making {
  /** Whose work the new task takes over. */
  readonly replaced: TaskInfo | undefined;
  readonly restart: TaskRestart | undefined;
  readonly specNumber: number;
  /** The one that is replaced has to leave its node, or has lost it: what happens too often is slowed down. */
  readonly isMove?: boolean;
}

/** A new task for the slot. It is held at READY while its delay runs, or while somebody who is to leave the slot is not gone. */
export function makeTask(pass: Pass, edit: SlotEdit, { replaced, restart, specNumber, isMove = false }: Making): void {
  const id = pass.context.ids.next();
  const { key, holder, others } = edit.slot;
  const delayMs = restart?.delayMs ?? 0;
  const waits = [holder, ...others].some((info) => info !== undefined && (isLeaving(edit, info) || goesBefore(pass, info)));
  if (delayMs > 0) pass.sinceMs(`restart:${id}`);
  const moves = isMove && replaced !== undefined ? movesAfter(pass, replaced, specNumber) : 0;
  const waitMs = holdMs(moves);
  if (waitMs > 0) {
    pass.sinceMs(`hold:${id}`);
    pass.wakeIn(waitMs);
  }
  if (restart !== undefined) noteAttempt(pass, key, specNumber, restart.attempt);
  edit.create({
    id,
    specNumber,
    slot: pass.isGlobal ? 0 : Number(besideSlotKey(key) ?? key),
    nodeId: pass.isGlobal ? key : '',
    desired: delayMs > 0 || waits ? TaskState.READY : TaskState.RUNNING,
    // One that never had a node leaves no trace: what it stood in for is what is replaced.
    replaces: replaced === undefined ? '' : replaced.isWaiting ? replaced.task.replaces : replaced.row.id,
    restart,
    failedUpdate: replaced !== undefined && specNumber === pass.specNumber && hasFailedUpdate(pass, replaced),
    moves,
    holdMessage: waitMs > 0 ? holdMessage(moves) : undefined,
    canary: pass.rollout.isTrial,
    awaited: replaced !== undefined && restart === undefined && (replaced.task.awaited || edit.taskOf(replaced).drain),
  });
  if (delayMs > 0) pass.wakeIn(delayMs);
}

/** The slot goes on counting as failed, whatever becomes of the next task. */
function hasFailedUpdate(pass: Pass, replaced: TaskInfo): boolean {
  return pass.isNew(replaced) && (replaced.task.failedUpdate || hasJustFailed(pass, replaced));
}

/** The active spec, but while an update is paused the task's own, as long as that is kept: also where it is another in its placement alone. */
export function nextSpecNumber(pass: Pass, holder: TaskInfo): number {
  const { spec } = holder;
  if (pass.phase !== 'paused' || spec === undefined) return pass.specNumber;
  return pass.isClean(holder) && samePlacement(spec, pass.spec) ? pass.specNumber : holder.task.specNumber;
}
