// Whether and when a task that ended by itself is replaced. Pure.
import { RestartCondition, type RestartPolicy, type TaskRestart, TaskState } from '../../proto/index.ts';
import type { TaskInfo } from './task-info.ts';

const FIRST_DELAY_MS = 5000;
const MAX_DELAY_MS = 5 * 60_000;
/** After that long up, what went wrong before counts no more. */
const HEALTHY_MS = 10 * 60_000;

export interface RestartHistory {
  /** Of the task that ended; undefined: it was never seen up. */
  readonly upMs: number | undefined;
  /** Restarts that the slot already had with this spec, and those of them that are within the window of the policy. */
  readonly attempts: number;
  readonly inWindow: number;
  /** They were used up when this was looked at before: that stands, though the window has gone on since. */
  readonly gaveUp: boolean;
}

export type RestartDecision =
  /** `restart` undefined: not counted as one. */
  | { readonly kind: 'restart'; readonly restart: TaskRestart | undefined }
  | { readonly kind: 'never'; readonly reason: 'condition' | 'attempts' | 'window' };

export function decideRestart(policy: RestartPolicy | undefined, ended: TaskInfo, history: RestartHistory): RestartDecision {
  const condition = policy?.condition ?? RestartCondition.ANY;
  const succeeded = ended.status?.state === TaskState.COMPLETE;
  if (condition === RestartCondition.NONE || (condition === RestartCondition.ON_FAILURE && succeeded))
    return { kind: 'never', reason: 'condition' };
  const maxAttempts = policy?.maxAttempts ?? 0;
  const { attempts, inWindow, gaveUp, upMs } = history;
  const isWindowed = hasWindow(policy);
  if (isWindowed && (gaveUp || inWindow >= maxAttempts)) return { kind: 'never', reason: 'window' };
  if (!isWindowed && maxAttempts > 0 && attempts >= maxAttempts) return { kind: 'never', reason: 'attempts' };
  const delayMs = policy?.delayMs ?? backOffMs(ended, upMs);
  return { kind: 'restart', restart: { attempt: attempts + 1, delayMs, inWindow: isWindowed ? inWindow + 1 : 0 } };
}

/** Whether attempts leave the count again. */
export function hasWindow(policy: RestartPolicy | undefined): policy is RestartPolicy {
  return policy !== undefined && policy.maxAttempts > 0 && policy.windowMs > 0;
}

function backOffMs(ended: TaskInfo, upMs: number | undefined): number {
  const beforeMs = ended.task.restart?.delayMs ?? 0;
  if (beforeMs === 0 || (upMs !== undefined && upMs >= HEALTHY_MS)) return FIRST_DELAY_MS;
  return Math.min(MAX_DELAY_MS, beforeMs * 2);
}
