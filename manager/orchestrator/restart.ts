// Whether and when a task that ended by itself is replaced. Pure.
import { RestartCondition, type RestartPolicy, type TaskRestart, TaskState } from '../../proto/index.ts';
import type { TaskInfo } from './task-info.ts';

const FIRST_DELAY_MS = 5000;
const MAX_DELAY_MS = 5 * 60_000;
/** After that long up, what went wrong before counts no more. */
export const HEALTHY_MS = 10 * 60_000;

export interface RestartHistory {
  /** Of the task that ended; undefined: it was never seen up. */
  readonly upMs: number | undefined;
  /** Since the attempt of that number was made for this slot, as far as this leader knows; undefined: it does not know of it. */
  sinceAttemptMs(attempt: number): number | undefined;
}

export type RestartDecision =
  /** `restart` undefined: not counted as one. */
  | { readonly kind: 'restart'; readonly restart: TaskRestart | undefined }
  | { readonly kind: 'never' }
  /** The attempts of the window are used up; there is another one then. */
  | { readonly kind: 'later'; readonly wakeInMs: number };

/** `attempts`: restarts that the slot already had with this spec. */
export function decideRestart(
  policy: RestartPolicy | undefined,
  ended: TaskInfo,
  attempts: number,
  history: RestartHistory,
): RestartDecision {
  const condition = policy?.condition ?? RestartCondition.ANY;
  const succeeded = ended.status?.state === TaskState.COMPLETE;
  if (condition === RestartCondition.NONE || (condition === RestartCondition.ON_FAILURE && succeeded)) return { kind: 'never' };
  const maxAttempts = policy?.maxAttempts ?? 0;
  const windowMs = policy?.windowMs ?? 0;
  if (maxAttempts > 0 && attempts >= maxAttempts) {
    if (windowMs === 0) return { kind: 'never' };
    // The oldest of the last maxAttempts: while it is within the window, all of them are. One that is not known was made before this leader began.
    const sinceMs = history.sinceAttemptMs(attempts - maxAttempts + 1) ?? 0;
    if (sinceMs < windowMs) return { kind: 'later', wakeInMs: windowMs - sinceMs };
  }
  return { kind: 'restart', restart: { attempt: attempts + 1, delayMs: policy?.delayMs ?? backOffMs(ended, history.upMs) } };
}

function backOffMs(ended: TaskInfo, upMs: number | undefined): number {
  const beforeMs = ended.task.restart?.delayMs ?? 0;
  if (beforeMs === 0 || (upMs !== undefined && upMs >= HEALTHY_MS)) return FIRST_DELAY_MS;
  return Math.min(MAX_DELAY_MS, beforeMs * 2);
}
