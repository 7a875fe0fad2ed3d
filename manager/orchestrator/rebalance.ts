// Rebalancing: tasks moved, one at a time, to where the scheduler would place them now. On a user's wish (the row `rebalance/<service>`), or by itself
// where the service lets it happen: after the nodes have changed, and have been calm since. Which task is moved the scheduler says (BalanceSource); here
// is when. Each move goes by the order of updates, and only while every task of the service is up and nothing else of it is on its way; so it never
// has fewer up than an update of one task at a time would leave it. A newer spec ends it. Pure.
import {
  type Event,
  RebalancePolicy,
  type RebalanceRequest,
  RebalanceState,
  RebalanceStatus,
  ServiceMode,
  TaskState,
} from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import { moveTask, type MovesOutcome } from './moves.ts';
import type { Pass } from './pass.ts';
import type { SlotEdit } from './slot-edit.ts';
import { leaveLeftMs } from './stop.ts';
import { endReason, serviceEvent } from './task-events.ts';
import type { TaskInfo } from './task-info.ts';

/** No node has come, gone or changed for that long: so that nodes which flap do not shuffle tasks. */
export const CALM_MS = 60_000;
/** Between two moves that nobody asked for. */
export const AUTOMATIC_PAUSE_MS = 10_000;

const PAUSING = 'the last move is done; the next one waits out the update delay';

export interface RebalanceOutcome {
  /** As it shall be; the very object that is stored where nothing changes. */
  readonly status: RebalanceStatus | undefined;
  readonly events: readonly Event[];
  /** The slot that is moved now: both are committed together. */
  readonly moved: SlotEdit | undefined;
}

/** For slots that `settleSlot` and `planMoves` have seen. */
export function planRebalance(pass: Pass, edits: readonly SlotEdit[], moves: MovesOutcome): RebalanceOutcome {
  const before = pass.rollout.status?.value.rebalance;
  const wish = pass.view.get('rebalance', pass.serviceId)?.value;
  const unchanged = { status: before, events: [], moved: undefined };
  if (wish !== undefined && wish.number !== (before?.request ?? 0)) {
    // What is on its way goes on being watched.
    const begun = { ...begin(pass, wish), taskId: isActive(before) ? before.taskId : '' };
    if (wish.specNumber !== pass.service.specNumber) return cancelled(pass, edits, begun);
    return started(pass, step(pass, edits, moves, begun));
  }
  if (isActive(before)) {
    if (pass.rollout.isNewSpec || pass.phase !== 'steady') return cancelled(pass, edits, before);
    return step(pass, edits, moves, before);
  }
  return isDue(pass) && isQuiet(edits, moves) ? beginItself(pass, edits, moves, unchanged) : unchanged;
}

function isActive(status: RebalanceStatus | undefined): status is RebalanceStatus {
  return status?.state === RebalanceState.REBALANCING;
}

function begin(pass: Pass, wish: RebalanceRequest | undefined): RebalanceStatus {
  return RebalanceStatus.create({
    state: RebalanceState.REBALANCING,
    request: wish?.number ?? pass.rollout.status?.value.rebalance?.request ?? 0,
    automatic: wish === undefined,
    message: 'waiting until every task is up',
    startedUnixMs: pass.context.wallMs,
  });
}

function started(pass: Pass, outcome: RebalanceOutcome): RebalanceOutcome {
  const how = outcome.status?.automatic === true ? ' by itself, since the nodes have changed' : '';
  return { ...outcome, events: [serviceEvent(pass, 'rebalance', `rebalancing started${how}`), ...outcome.events] };
}

// ------------------------------------------------------------ by itself

/** Once after each change of the nodes; `step` waits until they are calm. */
function isDue(pass: Pass): boolean {
  const { balance, seen } = pass.context;
  const mayMove = pass.spec.rebalance === RebalancePolicy.REBALANCE_AUTO && pass.spec.mode === ServiceMode.REPLICATED;
  if (balance?.calmMs === undefined || !mayMove || pass.phase !== 'steady' || pass.rollout.isNewSpec) return false;
  return !seen.has(pass.serviceId, calmKey(balance.calmNumber));
}

function isCalm(pass: Pass): boolean {
  const leftMs = CALM_MS - (pass.context.balance?.calmMs ?? CALM_MS);
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs <= 0;
}

function beginItself(pass: Pass, edits: readonly SlotEdit[], moves: MovesOutcome, unchanged: RebalanceOutcome): RebalanceOutcome {
  const outcome = step(pass, edits, moves, begin(pass, undefined));
  return outcome.moved === undefined ? unchanged : started(pass, outcome);
}

/** It is not begun again before the nodes change. */
function noteTried(pass: Pass): void {
  const { balance } = pass.context;
  if (balance !== undefined) pass.sinceMs(calmKey(balance.calmNumber));
}

function calmKey(calmNumber: number): string {
  return `calm:${calmNumber}`;
}

// ------------------------------------------------------------ one step

function step(pass: Pass, edits: readonly SlotEdit[], moves: MovesOutcome, status: RebalanceStatus): RebalanceOutcome {
  const arrival = arrivalOf(pass, edits, status);
  switch (arrival.kind) {
    case 'waiting':
      return waiting(pass, edits, status, `rebalance:${status.taskId}`, 'the moved task did not come up');
    case 'pausing':
      return { status: status.message === PAUSING ? status : { ...status, message: PAUSING }, events: [], moved: undefined };
    case 'failed':
      return ended(pass, status, RebalanceState.REBALANCE_STOPPED, arrival.reason);
    case 'none':
    case 'arrived':
  }
  const moved = status.moved + (arrival.kind === 'arrived' ? 1 : 0);
  const known = status.taskId === '' ? status : { ...status, moved, taskId: '', message: 'waiting until every task is up' };
  if (!isQuiet(edits, moves)) return waiting(pass, edits, known, `rebalance-quiet:${moved}`, 'not every task of the service came up');
  if (known.automatic && !(isCalm(pass) && hasPaused(pass, known))) return { status: known, events: [], moved: undefined };
  return next(pass, edits, known);
}

function next(pass: Pass, edits: readonly SlotEdit[], status: RebalanceStatus): RebalanceOutcome {
  const better = pass.context.balance?.betterPlace({
    serviceId: pass.serviceId,
    specNumber: pass.specNumber,
    spec: pass.spec,
    movable: movableOf(pass, edits),
  });
  const edit = better && edits.find(({ slot }) => slot.holder?.row.id === better.taskId);
  const holder = edit?.slot.holder;
  const { moved } = status;
  if (better === undefined || edit === undefined || holder === undefined) {
    const message = moved === 0 ? 'no task would do better elsewhere' : `${countText(moved)} moved`;
    return ended(pass, status, RebalanceState.REBALANCE_COMPLETED, message);
  }
  // Each service ends by itself; several that are drawn to one another need not.
  if (moved >= 3 * edits.length + 3) {
    return ended(
      pass,
      status,
      RebalanceState.REBALANCE_STOPPED,
      `${countText(moved)} moved, and there is no end of it: others move as well`,
    );
  }
  moveTask(pass, edit, holder, 'rebalance', better.why);
  const taskId = edit.created?.id ?? '';
  const message = `waiting for ${pass.service.name}.${edit.slot.key} to come up elsewhere (${better.why})`;
  return { status: { ...status, taskId, message }, events: [], moved: edit };
}

type Arrival =
  /** Nothing is being moved. */
  | { readonly kind: 'none' }
  | { readonly kind: 'waiting' }
  /** It is up; the delay of updates runs. */
  | { readonly kind: 'pausing' }
  | { readonly kind: 'arrived' }
  | { readonly kind: 'failed'; readonly reason: string };

/** What has become of the task that took over from the last one that was moved. */
function arrivalOf(pass: Pass, edits: readonly SlotEdit[], { taskId }: RebalanceStatus): Arrival {
  if (taskId === '') return { kind: 'none' };
  for (const { slot } of edits) {
    const info = [slot.holder, ...slot.others].find((each) => each?.row.id === taskId);
    if (info === undefined) continue;
    const name = `${pass.service.name}.${slot.key}`;
    if (info.status?.state === TaskState.FAILED || info.status?.state === TaskState.REJECTED)
      return { kind: 'failed', reason: `task ${name} was moved and ${endReason(info)}` };
    // Its new node was lost, or it had to leave it: that is not for us to follow.
    if (info !== slot.holder) return { kind: 'none' };
    if (!info.isUp) return { kind: 'waiting' };
    const leftMs = pass.config.delayMs - pass.sinceMs(`up:${taskId}`);
    if (leftMs > 0) pass.wakeIn(leftMs);
    return { kind: leftMs > 0 ? 'pausing' : 'arrived' };
  }
  return { kind: 'failed', reason: 'no node took the task that was to move any more: it stayed where it was' };
}

/** Every task of the service is up, or is not to be, and none is on its way. */
function isQuiet(edits: readonly SlotEdit[], { moving, waiting: left }: MovesOutcome): boolean {
  return moving === 0 && left === 0 && edits.every(isSettled);
}

function isSettled({ slot: { holder }, created, isReturned, restartsLater }: SlotEdit): boolean {
  if (holder === undefined || created !== undefined || isReturned) return false;
  return holder.isUp || (holder.isFinished && !restartsLater);
}

/** By node, in the order of slots: the last one is the first to go. */
function movableOf(pass: Pass, edits: readonly SlotEdit[]): ReadonlyMap<string, readonly string[]> {
  const holders = edits.flatMap(({ slot: { holder } }): readonly TaskInfo[] =>
    holder?.isUp === true && !holder.task.drain && pass.isClean(holder) ? [holder] : [],
  );
  holders.sort((one, other) => one.task.slot - other.task.slot);
  const movable = new Map<string, string[]>();
  for (const { row, task } of holders) {
    const list = movable.get(task.nodeId);
    if (list === undefined) movable.set(task.nodeId, [row.id]);
    else list.push(row.id);
  }
  return movable;
}

function hasPaused(pass: Pass, { moved }: RebalanceStatus): boolean {
  const leftMs = moved === 0 ? 0 : AUTOMATIC_PAUSE_MS - pass.sinceMs(`rebalance-pause:${moved}`);
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs <= 0;
}

/** No longer than updates wait for a task; as there, the time that others have for leaving is not counted. */
function waiting(pass: Pass, edits: readonly SlotEdit[], status: RebalanceStatus, key: string, what: string): RebalanceOutcome {
  const deadlineMs = pass.progressDeadlineMs;
  const leaveMs = leaveLeftMs(
    pass,
    edits.flatMap(({ slot }) => slot.others),
  );
  if (leaveMs > 0) pass.wakeIn(leaveMs);
  else if (deadlineMs > 0) {
    const leftMs = deadlineMs - pass.sinceMs(key);
    if (leftMs <= 0) return ended(pass, status, RebalanceState.REBALANCE_STOPPED, `${what} within ${formatDurationMs(deadlineMs)}`);
    pass.wakeIn(leftMs);
  }
  return { status, events: [], moved: undefined };
}

function cancelled(pass: Pass, edits: readonly SlotEdit[], status: RebalanceStatus): RebalanceOutcome {
  const why = pass.phase === 'steady' || pass.rollout.isNewSpec ? 'the service was changed' : 'an update began';
  const arrival = arrivalOf(pass, edits, status).kind;
  const moved = status.moved + (arrival === 'arrived' || arrival === 'pausing' ? 1 : 0);
  return ended(pass, { ...status, moved }, RebalanceState.REBALANCE_CANCELLED, `${why} after ${countText(moved)} moved`);
}

function ended(pass: Pass, status: RebalanceStatus, state: RebalanceState, message: string): RebalanceOutcome {
  noteTried(pass);
  const events = [serviceEvent(pass, 'rebalance', `rebalancing ${nameOf(state)}: ${message}`)];
  return { status: { ...status, state, message, taskId: '', completedUnixMs: pass.context.wallMs }, events, moved: undefined };
}

function nameOf(state: RebalanceState): string {
  switch (state) {
    case RebalanceState.REBALANCE_STOPPED:
      return 'stopped';
    case RebalanceState.REBALANCE_CANCELLED:
      return 'cancelled';
    default:
      return 'completed';
  }
}

function countText(count: number): string {
  return count === 1 ? '1 task' : `${count} tasks`;
}
