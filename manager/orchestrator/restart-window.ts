// Which of a slot's restarts are within the window of its policy. When each was made, only the leader that made it knows; how many are left in the
// window is kept in the slot's task, so that the next leader goes on from there, with times begun anew. Pure.
import type { RestartPolicy } from '../../proto/index.ts';
import type { Pass } from './pass.ts';
import { decideRestart, hasWindow, type RestartDecision } from './restart.ts';
import type { SlotEdit } from './slot-edit.ts';
import type { TaskInfo } from './task-info.ts';

/** More of them within one window are not told from an endless number. */
const MAX_IN_WINDOW = 1000;

/** What the policy says now that the slot's task has ended by itself. `isCounted` false: a newer spec begins to count anew. */
export function decideFor(pass: Pass, slotKey: string, ended: TaskInfo, isCounted = true): RestartDecision {
  const policy = policyOf(pass, ended);
  return decideRestart(policy, ended, {
    upMs: pass.notedUpMs(ended),
    attempts: isCounted ? (ended.task.restart?.attempt ?? 0) : 0,
    inWindow: isCounted ? countInWindow(pass, slotKey, ended, policy).count : 0,
    gaveUp: isCounted && ended.task.gaveUp,
  });
}

/** What has left the window while the task goes on is not counted any more, by no later leader either. */
export function settleWindow(pass: Pass, edit: SlotEdit, holder: TaskInfo): void {
  const { restart } = holder.task;
  if (restart === undefined || restart.inWindow === 0) return;
  const { count, nextMs } = countInWindow(pass, edit.slot.key, holder, policyOf(pass, holder));
  if (nextMs !== undefined) pass.wakeIn(nextMs);
  if (count < restart.inWindow) edit.patch(holder, { restart: { ...restart, inWindow: count } });
}

/** A task is made for the slot: the attempt is as old as that. */
export function noteAttempt(pass: Pass, slotKey: string, specNumber: number, attempt: number): void {
  pass.sinceMs(attemptKey(slotKey, specNumber, attempt));
}

/** `nextMs`: until the next one leaves the window. */
function countInWindow(
  pass: Pass,
  slotKey: string,
  { task }: TaskInfo,
  policy: RestartPolicy | undefined,
): { readonly count: number; readonly nextMs: number | undefined } {
  const { attempt = 0, inWindow = 0 } = task.restart ?? {};
  let count = 0;
  let nextMs: number | undefined;
  if (!hasWindow(policy)) return { count, nextMs };
  // From the newest on: those before one that is too old are older still.
  while (count < Math.min(inWindow, MAX_IN_WINDOW)) {
    const leftMs = policy.windowMs - pass.sinceMs(attemptKey(slotKey, task.specNumber, attempt - count));
    if (leftMs <= 0) break;
    nextMs = leftMs;
    count++;
  }
  return { count, nextMs };
}

function policyOf(pass: Pass, { spec }: TaskInfo): RestartPolicy | undefined {
  return spec?.task?.restart ?? pass.spec.task?.restart;
}

function attemptKey(slotKey: string, specNumber: number, attempt: number): string {
  return `attempt:${slotKey}:${specNumber}:${attempt}`;
}
