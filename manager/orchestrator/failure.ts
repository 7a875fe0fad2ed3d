// When an update (or a rollback) counts as failed: new tasks that fail within the monitor period of coming up, and slots whose new task is not up
// within the progress deadline, are failures; more of them than the ratio allows trigger the failure action. Pure.
import { FailureAction, TaskState } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import type { Pass } from './pass.ts';
import type { SlotTasks } from './slot.ts';
import { leaveLeftMs } from './stop.ts';
import { endReason, slotName } from './task-events.ts';
import type { TaskInfo } from './task-info.ts';

/** "failure of task web.3, which failed: exit code 1"; undefined: it goes on. */
export function failureOf(pass: Pass, wanted: readonly SlotTasks[]): string | undefined {
  if (pass.config.failureAction === FailureAction.FAILURE_CONTINUE) return undefined;
  let failed = 0;
  let reason: string | undefined;
  for (const slot of wanted) {
    const { holder } = slot;
    if (holder === undefined || !pass.isNew(holder)) continue;
    const news = newsOf(pass, slot, holder);
    reason ??= news;
    if (news !== undefined || holder.task.failedUpdate) failed++;
  }
  return reason !== undefined && failed / wanted.length > pass.config.maxFailureRatio ? reason : undefined;
}

/** What has just gone wrong with the slot, if anything. */
function newsOf(pass: Pass, slot: SlotTasks, holder: TaskInfo): string | undefined {
  const name = slotName(pass, slot);
  if (hasJustFailed(pass, holder)) return `failure of task ${name}, which ${endReason(holder)}`;
  if (!isStalled(pass, slot)) return undefined;
  const why = holder.task.verdict?.message || holder.status?.error || holder.status?.message || '';
  return `task ${name} not coming up within ${formatDurationMs(pass.progressDeadlineMs)}${why === '' ? '' : ` (${why})`}`;
}

/** The new task ended in failure before it had been up for the monitor period, and nothing was done about it yet. */
export function hasJustFailed(pass: Pass, holder: TaskInfo): boolean {
  if (pass.phase !== 'updating' || !pass.isNew(holder) || holder.task.desired > TaskState.RUNNING) return false;
  if (holder.status?.state !== TaskState.FAILED && holder.status?.state !== TaskState.REJECTED) return false;
  const upMs = pass.notedUpMs(holder);
  // What is on trial is watched as long as that lasts.
  return pass.rollout.isTrial || upMs === undefined || upMs <= pass.config.monitorMs;
}

/** The slot was given a new task by the update, and for the progress deadline none of its tasks has proved itself. */
function isStalled(pass: Pass, { key, holder, others }: SlotTasks): boolean {
  if (pass.phase !== 'updating' || pass.progressDeadlineMs === 0 || holder === undefined) return false;
  if (!pass.isNew(holder) || (holder.task.replaces === '' && !pass.rollout.isTrial) || pass.hasProved(holder)) return false;
  // A global task waits for its node as long as that takes.
  if (holder.nodeCondition === 'down') return false;
  // The time that the ones before it have for leaving is not its own: the deadline runs from when they are gone, or should be.
  const leaveMs = leaveLeftMs(
    pass,
    others.filter((other) => !pass.isNew(other)),
  );
  if (leaveMs > 0) {
    pass.wakeIn(leaveMs);
    return false;
  }
  const leftMs = pass.progressDeadlineMs - pass.sinceMs(`way:${key}:${pass.specNumber}`);
  // While it is up, only the monitor period is between it and its proof.
  if (holder.isUp) return false;
  if (leftMs > 0) pass.wakeIn(leftMs);
  return leftMs <= 0;
}

/** The update does not wait for this slot: it has failed, and that is allowed. */
export function isGivenUp(pass: Pass, slot: SlotTasks): boolean {
  const { holder } = slot;
  if (pass.phase !== 'updating' || holder === undefined || !pass.isNew(holder) || holder.isUp) return false;
  const restarts = holder.task.restart?.attempt ?? 0;
  if (holder.task.failedUpdate || (restarts > 0 && pass.config.failureAction === FailureAction.FAILURE_CONTINUE)) return true;
  return isStalled(pass, slot);
}
