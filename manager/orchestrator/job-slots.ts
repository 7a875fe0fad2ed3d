// The tasks of one iteration of a job: made as far as its limit allows, made anew where they fail or their node is gone, and left alone once they
// have completed. A task that is moved is stopped before another one takes its slot. Pure.
import { OnReturn, type TaskRestart, TaskState } from '../../proto/index.ts';
import { placementProblem } from '../constraint/index.ts';
import { everybody, hasCompleted, hasFailed, isDone, isLive, type IterationView, restartOf, slotNamed } from './job-view.ts';
import { overfullProblem } from './overfull.ts';
import type { Pass } from './pass.ts';
import { noteAttempt, settleWindow } from './restart-window.ts';
import { SlotEdit } from './slot-edit.ts';
import { MAX_FORGOTTEN } from './slot-rules.ts';
import type { SlotTasks } from './slot.ts';
import { isLeaving, orphaned, stopTask } from './stop.ts';
import { endReason, taskEvent } from './task-events.ts';
import { isDrained, type TaskInfo } from './task-info.ts';

/** So that a pass over a huge job stays short; the next one goes on. */
const MAX_MADE_PER_PASS = 5000;

interface Wish {
  readonly edit: SlotEdit;
  readonly name: string;
  readonly replaced: TaskInfo | undefined;
  readonly restart: TaskRestart | undefined;
}

/** `leaving`: slots of iterations that are over. */
export function settleIteration(pass: Pass, view: IterationView, leaving: readonly SlotTasks[]): readonly SlotEdit[] {
  if (!view.isOpen) return [...view.slots.values()].map((slot) => endSlot(pass, view, slot));
  const wanted = new Set(view.wanted);
  const edits: SlotEdit[] = [];
  const again: Wish[] = [];
  const editOf = (slot: SlotTasks): SlotEdit => {
    const edit = new SlotEdit(pass.serviceId, slot, pass.context.wallMs);
    edits.push(edit);
    return edit;
  };
  for (const [name, slot] of view.slots) {
    const edit = editOf(slot);
    if (wanted.has(name)) again.push(...settleSlot(pass, view, edit, name));
    else leaveSlot(pass, edit);
  }
  const live = edits.reduce((sum, edit) => sum + everybody(edit.slot).filter((info) => staysLive(edit, info)).length, 0);
  const places = placesOf(pass, view, leaving) - live;
  const empty = view.wanted.filter((name) => !view.slots.has(name)).slice(0, Math.max(0, Math.min(places, MAX_MADE_PER_PASS)));
  const news = empty.map((name): Wish => ({ edit: editOf(slotNamed(pass, view, name)), name, replaced: undefined, restart: undefined }));
  const held = view.isGlobal ? nodesOf(leaving) : new Set<string>();
  const granted = [...again, ...news].filter(({ name }) => !held.has(name));
  for (const wish of granted.slice(0, Math.max(0, places))) make(pass, view, wish);
  return edits;
}

/** Tasks at once. */
function placesOf(pass: Pass, { spec, isGlobal }: IterationView, leaving: readonly SlotTasks[]): number {
  if (isGlobal) return Number.POSITIVE_INFINITY;
  const replicas = spec?.replicas ?? 0;
  const most = Math.min(spec?.job?.maxConcurrent || replicas, replicas);
  return most - leaving.reduce((sum, slot) => sum + everybody(slot).filter(isLive).length, 0);
}

/** Nodes that still run a task of an iteration that is over. */
function nodesOf(leaving: readonly SlotTasks[]): ReadonlySet<string> {
  return new Set(leaving.flatMap((slot) => everybody(slot).filter(isLive)).map(({ task }) => task.nodeId));
}

function staysLive(edit: SlotEdit, info: TaskInfo): boolean {
  return isLive(info) && !edit.isRemoved(info) && !(info.isWaiting && edit.taskOf(info).desired >= TaskState.SHUTDOWN);
}

/** Whom the slot needs a task for, if anybody. */
function settleSlot(pass: Pass, view: IterationView, edit: SlotEdit, name: string): readonly Wish[] {
  const { slot } = edit;
  const { holder, others } = slot;
  if (isDone(slot)) {
    for (const info of everybody(slot)) endTask(pass, edit, info);
    forgetHistory(pass, edit);
    return [];
  }
  if (holder !== undefined && returnsSlot(pass, view, edit, holder)) return [];
  for (const other of others) settleOther(pass, edit, other);
  forgetHistory(pass, edit);
  const wishOf = (restart: Wish['restart']): readonly Wish[] => [{ edit, name, replaced: holder, restart }];
  if (holder === undefined) return wishOf(undefined);
  const { restart } = holder.task;
  const uncounted = restart && { ...restart, delayMs: 0 };
  if (hasFailed(holder)) return settleFailed(pass, edit, holder, wishOf);
  // It was stopped to be moved; while it goes, it holds its slot.
  if (holder.task.desired >= TaskState.SHUTDOWN) return holder.isEnded || holder.nodeCondition === 'down' ? wishOf(uncounted) : [];
  settleWindow(pass, edit, holder);
  if (holder.isUp && restart !== undefined) pass.sinceMs(`up:${holder.row.id}`);
  switch (holder.nodeCondition) {
    case 'removed':
      edit.patch(holder, { desired: TaskState.SHUTDOWN, ...orphaned(pass, holder) });
      return view.isGlobal ? [] : wishOf(uncounted);
    case 'down':
      // Of a global job no other node can do this part.
      if (view.isGlobal) return [];
      edit.patch(holder, holder.task.desired === TaskState.READY ? { desired: TaskState.SHUTDOWN } : { lost: true });
      return wishOf(uncounted);
    case 'ready':
    case 'away': {
      const problem = leaveReason(pass, holder);
      if (problem !== undefined) {
        const message = holder.task.preempted === '' ? `no longer fits its node: ${problem}` : problem;
        const verdict = { state: TaskState.REJECTED, message, sinceUnixMs: pass.context.wallMs };
        stopTask(pass, edit, holder, TaskState.SHUTDOWN, isDrained(holder.node) ? undefined : verdict);
        return [];
      }
      if (holder.task.lost || holder.task.drain) edit.patch(holder, { lost: false, drain: false });
      break;
    }
    case 'none':
  }
  if (holder.task.desired === TaskState.READY) promote(pass, edit, holder);
  return [];
}

function settleFailed(
  pass: Pass,
  edit: SlotEdit,
  holder: TaskInfo,
  wishOf: (restart: Wish['restart']) => readonly Wish[],
): readonly Wish[] {
  const decision = restartOf(pass, edit.slot, holder);
  switch (decision.kind) {
    case 'never':
      if (decision.reason === 'window') edit.patch(holder, { gaveUp: true });
      return [];
    case 'restart':
      return wishOf(decision.restart);
  }
}

/** Why the task must go from its node. */
function leaveReason(pass: Pass, info: TaskInfo): string | undefined {
  const { node, nodeStatus, spec } = info;
  if (node === undefined || info.nodeCondition !== 'ready') return undefined;
  if (isDrained(node)) return 'the node is drained';
  if (info.task.preempted !== '') return info.task.preempted;
  return placementProblem(spec?.task?.placement, node, nodeStatus) ?? overfullProblem(pass, info);
}

function promote(pass: Pass, edit: SlotEdit, holder: TaskInfo): void {
  const delayMs = holder.task.restart?.delayMs ?? 0;
  const leftMs = delayMs > 0 ? delayMs - pass.sinceMs(`restart:${holder.row.id}`) : 0;
  if (leftMs > 0) pass.wakeIn(leftMs);
  else if (!edit.slot.others.some((other) => isLeaving(edit, other))) edit.patch(holder, { desired: TaskState.COMPLETE });
}

/** Somebody who no longer holds the slot. */
function settleOther(pass: Pass, edit: SlotEdit, other: TaskInfo): void {
  const mayBeBack = other.nodeCondition === 'down' && !other.isFinished && other.task.desired < TaskState.SHUTDOWN;
  if (mayBeBack && !other.task.drain) edit.patch(other, { lost: true });
  else endTask(pass, edit, other);
}

/** It shall not run any more; one that has completed is left as it is. */
function endTask(pass: Pass, edit: SlotEdit, info: TaskInfo): void {
  if (hasCompleted(info)) edit.patch(info, { drain: false, lost: false });
  else stopTask(pass, edit, info, TaskState.SHUTDOWN);
}

/** A lost task is back before the one that was to do its work has a node: it goes on. Where the job keeps the old one, also later, if it still runs. */
function returnsSlot(pass: Pass, view: IterationView, edit: SlotEdit, holder: TaskInfo): boolean {
  const earlier = edit.slot.others.find(canReturn);
  if (earlier === undefined || isDrained(earlier.node)) return false;
  if (holder.isWaiting && holder.task.replaces === earlier.row.id) edit.remove(holder);
  else if (view.spec?.onReturn !== OnReturn.KEEP_OLD || !earlier.isUp) return false;
  else stopTask(pass, edit, holder, TaskState.SHUTDOWN);
  edit.setHolder(earlier);
  edit.patch(earlier, { lost: false });
  return true;
}

function canReturn(info: TaskInfo): boolean {
  const { task } = info;
  return task.lost && task.desired === TaskState.COMPLETE && !task.drain && !info.isFinished && info.nodeCondition === 'ready';
}

/** Nobody wants the slot: the node of a global job no longer qualifies. */
function leaveSlot(pass: Pass, edit: SlotEdit): void {
  for (const info of everybody(edit.slot)) {
    if (info.nodeCondition !== 'down' || info.isFinished) endTask(pass, edit, info);
  }
  forgetHistory(pass, edit);
}

/** The iteration is over. */
function endSlot(pass: Pass, { iteration }: IterationView, slot: SlotTasks): SlotEdit {
  if (iteration.expired) return forgetSlot(pass, slot);
  const edit = new SlotEdit(pass.serviceId, slot, pass.context.wallMs);
  for (const info of everybody(slot)) endTask(pass, edit, info);
  forgetHistory(pass, edit);
  return edit;
}

/** Whoever is in it ends, and is forgotten. */
export function forgetSlot(pass: Pass, slot: SlotTasks): SlotEdit {
  const edit = new SlotEdit(pass.serviceId, slot, pass.context.wallMs);
  let ended = 0;
  for (const info of everybody(slot)) {
    if (info.isEnded && ++ended > MAX_FORGOTTEN) continue;
    stopTask(pass, edit, info, TaskState.REMOVE);
  }
  if (ended > MAX_FORGOTTEN) pass.wakeIn(0);
  return edit;
}

/** Failed tasks beyond the history, oldest first; what completed is the proof of it, and stays. */
function forgetHistory(pass: Pass, edit: SlotEdit): void {
  const finished = edit.slot.others.filter((other) => other.isEnded && !hasCompleted(other) && !edit.isRemoved(other));
  const beyond = finished.slice(0, Math.max(0, finished.length - pass.historyLimit));
  for (const other of beyond.slice(0, MAX_FORGOTTEN)) edit.remove(other);
  if (beyond.length > MAX_FORGOTTEN) pass.wakeIn(0);
}

function make(pass: Pass, { iteration, isGlobal }: IterationView, { edit, name, replaced, restart }: Wish): void {
  const id = pass.context.ids.next();
  const delayMs = restart?.delayMs ?? 0;
  if (replaced !== undefined) {
    retire(pass, edit, replaced, name, delayMs);
    // Should its node just now say that it has completed, there is nothing to do again.
    edit.requireStatus(replaced);
  }
  const isHeld = everybody(edit.slot).some((info) => isLeaving(edit, info));
  if (delayMs > 0) {
    pass.sinceMs(`restart:${id}`);
    pass.wakeIn(delayMs);
  }
  if (restart !== undefined) noteAttempt(pass, edit.slot.key, iteration.specNumber, restart.attempt);
  edit.create({
    id,
    specNumber: iteration.specNumber,
    slot: isGlobal ? 0 : Number(name) + 1,
    nodeId: isGlobal ? name : '',
    desired: delayMs > 0 || isHeld ? TaskState.READY : TaskState.COMPLETE,
    replaces: replaced === undefined ? '' : replaced.isWaiting ? replaced.task.replaces : replaced.row.id,
    restart,
    failedUpdate: false,
    jobIteration: iteration.number,
  });
}

/** Its slot goes to another task; why, is told. */
function retire(pass: Pass, edit: SlotEdit, replaced: TaskInfo, name: string, delayMs: number): void {
  const at = { ...edit.slot, key: name };
  if (!hasFailed(replaced)) {
    if (replaced.nodeCondition === 'down')
      edit.addEvent(taskEvent(pass, at, replaced, 'move', 'its node is down: the task is replaced elsewhere'));
    return;
  }
  edit.patch(replaced, { desired: TaskState.SHUTDOWN });
  const when = delayMs === 0 ? 'at once' : `in ${delayMs / 1000}s`;
  edit.addEvent(taskEvent(pass, at, replaced, 'fail', `${endReason(replaced)}; it is tried again ${when}`));
}
