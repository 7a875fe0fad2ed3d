// Statuses on their way up: the latest of each task, so that the queue is never longer than the node has tasks.
import type { StatusBatch, TaskStatus } from '../../proto/index.ts';

export interface StatusOutbox {
  put(status: TaskStatus): void;
  /** Drops what waits for a task that is no longer ours. */
  forget(taskId: string): void;
  /** The next batch is complete: a new session began. */
  restart(): void;
  /** The complete batch has not gone out yet. */
  owesComplete(): boolean;
  waiting(): boolean;
  /** The next batch; `all` gives every task's status for the complete one. Undefined: nothing waits. */
  take(all: () => readonly TaskStatus[]): StatusBatch | undefined;
}

/** About 0.5 MB at the longest texts that a status carries; a message may have 4 MiB. */
const MAX_BATCH = 200;

export function statusOutbox(): StatusOutbox {
  const waiting = new Map<string, TaskStatus>();
  let complete = true;
  return {
    put(status) {
      waiting.set(status.taskId, status);
    },
    forget(taskId) {
      waiting.delete(taskId);
    },
    restart() {
      complete = true;
    },
    owesComplete: () => complete,
    waiting: () => complete || waiting.size > 0,
    take(all) {
      if (complete) {
        complete = false;
        waiting.clear();
        return { statuses: all(), complete: true };
      }
      if (waiting.size === 0) return undefined;
      const statuses: TaskStatus[] = [];
      for (const [taskId, status] of waiting) {
        statuses.push(status);
        waiting.delete(taskId);
        if (statuses.length === MAX_BATCH) break;
      }
      return { statuses, complete: false };
    },
  };
}
