// What becomes of a slot whose task has ended by itself: the restart policy, and the delay before the next attempt.
import { RestartCondition, RestartPolicy, type TaskRestart, TaskState } from '../../proto/index.ts';
import type { TaskFacts } from './task-facts.ts';
import type { Target, Work } from './work.ts';

const BASE_DELAY_MS = 5000;
const MAX_DELAY_MS = 5 * 60_000;
/** A replica that ran this long is no longer crash-looping. */
const HEALTHY_MS = 10 * 60_000;

/** Remembers since when the task runs; to be asked in every pass over it. */
export function noteRunning(work: Work, facts: TaskFacts): void {
  if (facts.state === TaskState.RUNNING) work.context.seen.sinceMs(work.serviceId, runningKey(facts));
}

/** The attempt that follows the ended task; undefined: the policy wants none. An attempt of a new spec is the first. */
export function nextAttempt(work: Work, ended: TaskFacts, target: Target): TaskRestart | undefined {
  const policy = target.spec.task?.restart ?? RestartPolicy.create();
  if (ended.task.specNumber < target.number) return { attempt: 0, delayMs: 0 };
  if (!conditionHolds(policy.condition, ended)) return undefined;
  const ranMs = ranForMs(work, ended);
  const counted = policy.windowMs > 0 && ranMs > policy.windowMs ? 0 : (ended.task.restart?.attempt ?? 0);
  if (policy.maxAttempts > 0 && counted >= policy.maxAttempts) return undefined;
  return { attempt: counted + 1, delayMs: policy.delayMs ?? backedOffMs(ranMs >= HEALTHY_MS ? 0 : counted) };
}

function conditionHolds(condition: RestartCondition, ended: TaskFacts): boolean {
  switch (condition) {
    case RestartCondition.ANY:
      return true;
    case RestartCondition.ON_FAILURE:
      return ended.state !== TaskState.COMPLETE;
    case RestartCondition.NONE:
      return false;
  }
}

/** 5 s, doubling, at most 5 min. */
function backedOffMs(attempts: number): number {
  return Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(attempts, 10));
}

/** How long this leader has seen the task run; 0 where it never did. */
export function ranForMs(work: Work, ended: TaskFacts): number {
  const { seen, nowMs } = work.context;
  const key = runningKey(ended);
  return seen.has(work.serviceId, key) ? nowMs - seen.sinceMs(work.serviceId, key) : 0;
}

function runningKey({ row }: TaskFacts): string {
  return `running:${row.id}`;
}
