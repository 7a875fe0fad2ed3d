// What one agent reports of its tasks in one session, on the way to the store.
import { type RareLog, rareLog } from '../../lib/rare-log.ts';
import { type StatusBatch, TaskState, type TaskStatus } from '../../proto/index.ts';
import type { SessionServices } from './session-services.ts';
import { lostStatuses, mergeStatus, takeBatch } from './status-intake.ts';

const REPEAT_WARNING_MS = 60_000;

export class StatusReports {
  readonly #nodeId: string;
  readonly #services: SessionServices;
  /** The newest state of each task that this session reported: an older one never replaces it, even while it waits to be written. */
  readonly #reported = new Map<string, TaskState>();
  /** Of this agent's mistakes. */
  readonly #warn: RareLog;
  /** The first batch, with all that it has, has come. */
  #isComplete = false;

  constructor(nodeId: string, services: SessionServices) {
    this.#nodeId = nodeId;
    this.#services = services;
    this.#warn = rareLog(services.log, services.clock, { periodMs: REPEAT_WARNING_MS });
  }

  /** Throws `invalid_argument` on a batch that no agent sends. */
  take(batch: StatusBatch): void {
    const { state, metrics, log, clock } = this.#services;
    const { accepted, foreign, unknown } = takeBatch(state, this.#nodeId, batch);
    metrics.statuses.inc({ result: 'accepted' }, accepted.length);
    if (foreign.length > 0 || unknown.length > 0) {
      metrics.statuses.inc({ result: 'foreign' }, foreign.length);
      metrics.statuses.inc({ result: 'unknown' }, unknown.length);
      // A last word about a task that was removed meanwhile is nothing unusual.
      const write: RareLog = foreign.length > 0 ? this.#warn : (message, fields) => log.debug(message, fields);
      write('an agent reported tasks that are not its own or not in the store; these statuses were refused', {
        node: this.#nodeId,
        foreign: foreign.slice(0, 5),
        foreignCount: foreign.length,
        unknown: unknown.slice(0, 5),
        unknownCount: unknown.length,
      });
    }
    for (const status of accepted) {
      if (status.state < (this.#reported.get(status.taskId) ?? TaskState.NEW)) continue;
      this.#reported.set(status.taskId, status.state);
      this.write(status);
    }
    if (!batch.complete || this.#isComplete) return;
    this.#isComplete = true;
    for (const status of lostStatuses(state, this.#nodeId, batch, clock.wallMs())) this.write(status);
  }

  write(status: TaskStatus): void {
    const { writer, state } = this.#services;
    writer.put(this.#nodeId, 'taskStatus', status.taskId, 'status', (current) => {
      // The task may be gone by the time this is tried again.
      if (state.get('tasks', status.taskId)?.value.nodeId !== this.#nodeId) return undefined;
      return mergeStatus(current, status);
    });
  }

  /** The task's row has changed. */
  touched(taskId: string): void {
    if (this.#services.state.get('tasks', taskId) === undefined) this.#reported.delete(taskId);
  }
}
