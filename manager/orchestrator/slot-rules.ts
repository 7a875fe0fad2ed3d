// What one slot that shall be filled needs, whatever the other slots do: its task made, promoted, replaced when it or its node is gone; what it
// replaced brought to an end; history kept short. Moves that count against the update limits are not made here (moves.ts).
import { OnReturn, TaskState } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import { fallsBack, goesBefore } from './fallback.ts';
import { makeTask, nextSpecNumber } from './making.ts';
import { evictionReason, stopVerdict } from './misfit.ts';
import { holdLeftMs, notePlaced } from './move-damping.ts';
import { moveReason } from './moves.ts';
import type { Pass } from './pass.ts';
import { decideFor, settleWindow } from './restart-window.ts';
import type { RestartDecision } from './restart.ts';
import type { SlotEdit } from './slot-edit.ts';
import { samePlacement, startsFirst } from './spec-rules.ts';
import { slotKeyOf } from './slot.ts';
import { isLeaving, orphaned, stopTask } from './stop.ts';
import { endReason, taskEvent } from './task-events.ts';
import { isDrained, type TaskInfo } from './task-info.ts';

/** Leaves its changes in `edit`. */
export function settleSlot(pass: Pass, edit: SlotEdit): void {
  const { holder, others } = edit.slot;
  if (holder !== undefined && (returnsSlot(pass, edit, holder) || goesBack(pass, edit, holder))) return;
  for (const other of others) settleOther(pass, edit, other, holder);
  if (holder === undefined) makeTask(pass, edit, { replaced: undefined, restart: undefined, specNumber: pass.specNumber });
  else settleHolder(pass, edit, holder);
  forgetHistory(pass, edit);
}

function settleHolder(pass: Pass, edit: SlotEdit, holder: TaskInfo): void {
  const { task } = holder;
  if (holder.isFinished || task.desired >= TaskState.SHUTDOWN) {
    replaceEnded(pass, edit, holder);
    return;
  }
  settleWindow(pass, edit, holder);
  noteUp(pass, holder);
  if (task.awaited && holder.isUp) edit.patch(holder, { awaited: false });
  notePlaced(pass, holder);
  switch (holder.nodeCondition) {
    case 'removed':
      edit.patch(holder, { desired: TaskState.SHUTDOWN, ...orphaned(pass, holder) });
      if (!pass.isGlobal) replaceGone(pass, edit, holder, 'its node was removed');
      return;
    case 'down':
      // A global task waits for its node: there is no other.
      if (pass.isGlobal) return;
      // What never started does not start without being told to.
      edit.patch(holder, task.desired === TaskState.READY ? { desired: TaskState.SHUTDOWN } : { lost: true });
      replaceGone(pass, edit, holder, 'its node is down');
      return;
    case 'none':
      if (isSuperseded(pass, holder)) {
        edit.remove(holder);
        const restart = pass.isClean(holder) ? task.restart : undefined;
        makeTask(pass, edit, { replaced: holder, restart, specNumber: pass.specNumber });
        return;
      }
      if (task.held) release(pass, edit, holder);
      break;
    case 'ready':
    case 'away':
      // It was about to leave, and is wanted again.
      if (task.drain) edit.patch(holder, { drain: false });
      if (task.lost) edit.patch(holder, { lost: false });
  }
  if (task.desired === TaskState.READY) promote(pass, edit, holder);
}

/** What waits for a node is placed by its own spec: it is made anew where the active one says otherwise, be it of its placement alone. */
function isSuperseded(pass: Pass, holder: TaskInfo): boolean {
  if (holder.task.specNumber === pass.specNumber) return false;
  if (holder.spec === undefined) return true;
  if (pass.phase === 'paused') return false;
  // What an earlier update could not place is this one's now, and its progress deadline runs anew.
  const isLeftOver = pass.phase === 'updating' && holder.task.replaces !== '' && !holder.task.held;
  return isLeftOver || !pass.isClean(holder) || !samePlacement(holder.spec, pass.spec);
}

/** The slot was moved too often; when that is over it gets a node. */
function release(pass: Pass, edit: SlotEdit, holder: TaskInfo): void {
  const leftMs = holdLeftMs(pass, holder);
  if (leftMs > 0) pass.wakeIn(leftMs);
  else edit.patch(holder, { held: false, verdict: { state: TaskState.PENDING, message: '', sinceUnixMs: pass.context.wallMs } });
}

function promote(pass: Pass, edit: SlotEdit, holder: TaskInfo): void {
  const leftMs = delayLeftMs(pass, holder);
  if (leftMs > 0) pass.wakeIn(leftMs);
  else if (!edit.slot.others.some((other) => isLeaving(edit, other) || goesBefore(pass, other)))
    edit.patch(holder, { desired: TaskState.RUNNING });
}

/** Of the delay before the task may start. */
function delayLeftMs(pass: Pass, holder: TaskInfo): number {
  const delayMs = holder.task.restart?.delayMs ?? 0;
  return delayMs > 0 ? Math.max(0, delayMs - pass.sinceMs(`restart:${holder.row.id}`)) : 0;
}

/** At once, and not counted as a restart; a delay that ran is waited out. */
function replaceGone(pass: Pass, edit: SlotEdit, holder: TaskInfo, why: string): void {
  const { restart, desired } = holder.task;
  const kept = restart === undefined || desired === TaskState.READY ? restart : { ...restart, delayMs: 0 };
  makeTask(pass, edit, { replaced: holder, restart: kept, specNumber: nextSpecNumber(pass, holder), isMove: true });
  edit.addEvent(taskEvent(pass, edit.slot, holder, 'move', `${why}: the task is replaced elsewhere`));
}

function replaceEnded(pass: Pass, edit: SlotEdit, holder: TaskInfo): void {
  if (pass.isTurning && pass.isNew(holder)) return;
  const specNumber = nextSpecNumber(pass, holder);
  const isOutdated = !pass.isClean(holder) && specNumber === pass.specNumber;
  const decision: SlotDecision = isOutdated ? { kind: 'restart', restart: undefined } : restartDecision(pass, edit, holder, specNumber);
  if (holder.isFinished && holder.task.desired <= TaskState.RUNNING) tellEnd(pass, edit, holder, decision);
  switch (decision.kind) {
    case 'never':
      if (decision.reason === 'window') edit.patch(holder, { gaveUp: true });
      return;
    case 'later':
      edit.restartsLater = true;
      pass.wakeIn(decision.wakeInMs);
      return;
    case 'restart':
      edit.patch(holder, { desired: TaskState.SHUTDOWN });
      makeTask(pass, edit, { replaced: holder, restart: decision.restart, specNumber });
  }
}

/** `later`: its turn has not come yet. */
type SlotDecision = RestartDecision | { readonly kind: 'later'; readonly wakeInMs: number };

function restartDecision(pass: Pass, edit: SlotEdit, holder: TaskInfo, specNumber: number): SlotDecision {
  // A new spec begins to count anew, even where it leaves the tasks as they are.
  const decision = decideFor(pass, edit.slot.key, holder, holder.task.specNumber === specNumber);
  // It failed while it was prepared, before its turn: the next one is not prepared before that either, or they would chase one another.
  const leftMs = holder.task.desired === TaskState.READY ? delayLeftMs(pass, holder) : 0;
  return decision.kind === 'restart' && leftMs > 0 ? { kind: 'later', wakeInMs: leftMs } : decision;
}

/** Told with the replacement, or before it where that has to wait; where there is none, once by each leader. */
function tellEnd(pass: Pass, edit: SlotEdit, holder: TaskInfo, decision: SlotDecision): void {
  if (holder.task.gaveUp) return;
  if (holder.status?.state !== TaskState.FAILED && holder.status?.state !== TaskState.REJECTED) return;
  const key = `told:${holder.row.id}`;
  const isTold = pass.context.seen.has(pass.serviceId, key);
  if (decision.kind !== 'restart') pass.sinceMs(key);
  if (!isTold) edit.addEvent(taskEvent(pass, edit.slot, holder, 'fail', `${endReason(holder)}; ${sequelOf(decision)}`));
}

function sequelOf(decision: SlotDecision): string {
  switch (decision.kind) {
    case 'never':
      return decision.reason === 'condition'
        ? 'its restart policy does not replace it'
        : 'its restart attempts are used up: it is not replaced';
    case 'later':
      return `it is replaced in ${formatDurationMs(Math.ceil(decision.wakeInMs))}`;
    case 'restart': {
      const delayMs = decision.restart?.delayMs ?? 0;
      return `it is replaced ${delayMs === 0 ? 'at once' : `in ${formatDurationMs(delayMs)}`}`;
    }
  }
}

/** Somebody in the slot who is not its holder: before it, beside it for a while, or history. */
function settleOther(pass: Pass, edit: SlotEdit, other: TaskInfo, holder: TaskInfo | undefined): void {
  const { task } = other;
  if (other.isEnded || task.desired === TaskState.REMOVE) {
    stopTask(pass, edit, other, task.desired === TaskState.REMOVE ? TaskState.REMOVE : TaskState.SHUTDOWN);
    return;
  }
  if (task.desired >= TaskState.SHUTDOWN) return;
  if (other.nodeCondition === 'down') {
    if (task.drain) stopTask(pass, edit, other, TaskState.SHUTDOWN);
    else edit.patch(other, { lost: true });
    return;
  }
  const mustMove = moveReason(pass, other) !== undefined;
  const isFallback = holder !== undefined && !task.drain && mustMove && fallsBack(pass, other, holder);
  const givesWay = holder !== undefined && mustMove && hasPlace(pass, holder) && goesBefore(pass, other);
  if (isFallback) tellFallback(pass, edit, other, holder);
  if ((isFallback || givesWay) && other.isRouted) edit.patch(holder, { awaited: true });
  const isRelieved =
    task.drain ||
    holder?.isUp === true ||
    isFallback ||
    givesWay ||
    servesNext(edit, other) ||
    (holder !== undefined && mustGo(pass, other, holder));
  if (isRelieved) stopTask(pass, edit, other, TaskState.SHUTDOWN, stopVerdict(pass, other));
  // Its node is back before its replacement is up: until then it serves on.
  else if (task.lost && other.nodeCondition === 'ready') edit.patch(other, { lost: false });
}

/** One that had taken over from it serves on until the holder is up: it came back with its node, and one is enough. */
function servesNext({ slot: { others } }: SlotEdit, other: TaskInfo): boolean {
  return others.slice(others.indexOf(other) + 1).some((next) => next.isUp && !next.task.drain && !next.task.lost);
}

/** It was held back until somebody goes, and nothing else keeps it from starting. */
function hasPlace(pass: Pass, holder: TaskInfo): boolean {
  return !holder.isWaiting && holder.task.desired === TaskState.READY && delayLeftMs(pass, holder) === 0;
}

/** Its replacement waits for a node, and it must leave its own even if there is none at all. */
function mustGo(pass: Pass, other: TaskInfo, holder: TaskInfo): boolean {
  const isRefused = holder.isWaiting && (holder.task.verdict?.message ?? '') !== '';
  return isRefused && evictionReason(pass, other) !== undefined;
}

/**
 * A lost task is back: the slot is its own again while its replacement has no node yet, for then nothing needs to move; and where the service
 * keeps the old one, also later, if it still serves.
 */
function returnsSlot(pass: Pass, edit: SlotEdit, holder: TaskInfo): boolean {
  const earlier = edit.slot.others.find((other) => canReturn(pass, edit, other));
  if (earlier === undefined) return false;
  if (holder.isWaiting && holder.task.replaces === earlier.row.id) edit.remove(holder);
  else if (pass.spec.onReturn !== OnReturn.KEEP_OLD || !earlier.isUp || isDrained(earlier.node)) return false;
  edit.setHolder(earlier);
  edit.patch(earlier, { lost: false });
  return true;
}

/** The slot's earlier task still runs beside the one that was to take over, and is what is wanted after all: it keeps the slot. */
function goesBack(pass: Pass, edit: SlotEdit, holder: TaskInfo): boolean {
  const isUnwanted = pass.phase === 'updating' && !pass.isClean(holder);
  const isFailed = holder.status?.state === TaskState.FAILED || holder.status?.state === TaskState.REJECTED;
  const isRefused = holder.isWaiting && (holder.task.verdict?.message ?? '') !== '';
  // Nothing moves any more: what found no node until now is not waited for, and nobody goes first so that another may start.
  const isPaused = pass.phase === 'paused';
  const isHeldBack = isPaused && (isFailed || holder.task.desired === TaskState.READY);
  const isOver = isUnwanted || isFailed || isRefused;
  if (!isOver && !isHeldBack) return false;
  const keeps = (other: TaskInfo): boolean => {
    if (isHeldBack && isPresent(other) && other.nodeCondition === 'ready' && !other.task.drain && goesBefore(pass, other)) return true;
    // Beside one that is not up either, nothing may start where it has to stop first.
    const isKept = other.isUp || (isUnwanted && isPresent(other) && !startsFirst(pass.spec, pass.config.order));
    return isOver && isKept && ((isPaused && isRefused) || pass.isClean(other));
  };
  const earlier = edit.slot.others.findLast((other) => !other.task.lost && keeps(other));
  if (earlier === undefined || slotKeyOf(earlier.task) !== edit.slot.key) return false;
  // What was to take over comes to nothing, and nothing (any more) says that this one must go.
  if (!isUnwanted && moveReason(pass, earlier) !== undefined) return false;
  if (isFailed && !isUnwanted)
    edit.addEvent(taskEvent(pass, edit.slot, holder, 'fail', `${endReason(holder)}; the one that it was to replace stays`));
  edit.setHolder(earlier);
  if (earlier.task.drain) edit.patch(earlier, { drain: false });
  for (const other of edit.slot.others) if (other !== earlier) settleOther(pass, edit, other, earlier);
  stopTask(pass, edit, holder, TaskState.SHUTDOWN);
  forgetHistory(pass, edit);
  return true;
}

/** It has a node, and was not told to stop. */
function isPresent({ isEnded, nodeCondition, task }: TaskInfo): boolean {
  return !isEnded && nodeCondition !== 'down' && task.desired === TaskState.RUNNING;
}

function tellFallback(pass: Pass, edit: SlotEdit, old: TaskInfo, holder: TaskInfo): void {
  if (!startsFirst(pass.spec, pass.config.order)) return;
  const why = holder.task.verdict?.message ?? '';
  edit.addEvent(taskEvent(pass, edit.slot, old, 'fallback', `no node takes its replacement beside it (${why}): it is stopped first`));
}

function canReturn(pass: Pass, edit: SlotEdit, info: TaskInfo): boolean {
  const { task } = info;
  const isBack = task.lost && task.desired === TaskState.RUNNING && !task.drain && !info.isFinished && info.nodeCondition === 'ready';
  return isBack && slotKeyOf(task) === edit.slot.key && pass.isClean(info);
}

/** A slot's changes are one transaction, whose length is limited: what is too much for it goes with the next ones. */
export const MAX_FORGOTTEN = 20;

/** Finished tasks beyond the history, oldest first. */
function forgetHistory(pass: Pass, edit: SlotEdit): void {
  const finished = edit.slot.others.filter((other) => other.isEnded && !edit.isRemoved(other));
  const beyond = finished.slice(0, Math.max(0, finished.length - pass.historyLimit));
  for (const other of beyond.slice(0, MAX_FORGOTTEN)) edit.remove(other);
  if (beyond.length > MAX_FORGOTTEN) pass.wakeIn(0);
}

/** Only where somebody will ask: after a restart, and during an update. */
function noteUp(pass: Pass, holder: TaskInfo): void {
  if (!holder.isUp) return;
  if (holder.task.restart !== undefined || (pass.phase === 'updating' && pass.isNew(holder))) pass.sinceMs(`up:${holder.row.id}`);
}
