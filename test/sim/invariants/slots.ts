// I2: no slot runs more tasks than desired plus the update's surge, except on a node that is cut off, and not for long after it is back; no container is
// started twice. And of restart policies: a task that failed is not replaced before its restart delay is over.
import type { Container } from '../parts/engine.ts';
import { startsFirst } from '../../../manager/orchestrator/spec-rules.ts';
import { rollbackConfigOf } from '../../../manager/state/index.ts';
import { type ServiceSpec, TaskState } from '../../../proto/index.ts';
import { short } from '../core/trace.ts';
import { isExcused } from '../truth/excuse.ts';
import { isJob, type Truth } from '../truth/truth.ts';

/** Timers and delays are not finer than that. */
const GRAIN_MS = 5;

export function slotsAreBounded(truth: Truth): void {
  const bySlot = new Map<string, Set<Container>>();

  const judge = (slot: string): void => {
    const running = bySlot.get(slot);
    if (running === undefined || running.size < 2) return;
    const counted = [...running].filter((container) => !isExcused(truth, container));
    const most = counted.some((container) => surges(truth, container)) ? 2 : 1;
    if (counted.length <= most) return;
    const names = counted.map((container) => `${short(container.taskId)} on ${container.host}`);
    truth.fail(
      'I2',
      `slot ${short(slot)}${slot.slice(slot.indexOf('/'))} runs ${counted.length} tasks, at most ${most}: ${names.join(', ')}`,
    );
  };
  const leave = (container: Container): void => {
    bySlot.get(truth.slotOf(container))?.delete(container);
  };

  truth.listen({
    started(container) {
      if (container.starts > 1) truth.fail('I2', `${truth.describe(container)} was started ${container.starts} times`);
      const slot = truth.slotOf(container);
      let running = bySlot.get(slot);
      if (running === undefined) {
        running = new Set();
        bySlot.set(slot, running);
      }
      running.add(container);
      judge(slot);
    },
    ended: leave,
    tick() {
      for (const [slot, running] of bySlot) {
        if (running.size > 1) judge(slot);
      }
    },
  });
}

/** Whether a task may run beside the one that it takes over from: by its own spec, or by one that it may be moved by. */
export function surges(
  truth: Pick<Truth, 'specOf' | 'newestSpec' | 'activeSpec'>,
  task: { readonly serviceId: string; readonly specNumber: number },
): boolean {
  return [truth.specOf(task), truth.newestSpec(task.serviceId), truth.activeSpec(task.serviceId)].some(maySurge);
}

/** By its update settings, or by those of its rollback. Tasks of jobs are stopped before others take their slots. */
function maySurge(spec: ServiceSpec | undefined): boolean {
  return spec !== undefined && !isJob(spec) && (startsFirst(spec) || startsFirst(spec, rollbackConfigOf(spec).order));
}

/** Holds over changes of leader: a delay that runs begins anew there, it is never cut short. */
export function delaysAreKept(truth: Truth): void {
  const { mirror } = truth;
  /** Tasks that were made in place of one that the leader knew to have failed, by id. */
  const madeForFailure = new Set<string>();
  const failed = new Map<string, { readonly container: Container; readonly atMs: number; readonly delayMs: number }>();
  mirror.onChange((change) => {
    if (change.table !== 'tasks') return;
    if (change.after === undefined) madeForFailure.delete(change.id);
    else if (change.before === undefined) {
      const state = mirror.get('taskStatus', change.after.value.replaces)?.value.state;
      if (state === TaskState.FAILED) madeForFailure.add(change.id);
    }
  });
  truth.listen({
    ended(container, why) {
      const slot = truth.slotOf(container);
      const delayMs = truth.specOf(container)?.task?.restart?.delayMs ?? 5000;
      // One that is told to stop anyway is replaced already.
      if ((why === 'crashed' || why === 'out of memory') && !container.stopping)
        failed.set(slot, { container, atMs: truth.nowMs, delayMs });
      else failed.delete(slot);
    },
    started(container) {
      const slot = truth.slotOf(container);
      const before = failed.get(slot);
      if (before === undefined) return;
      failed.delete(slot);
      const task = mirror.get('tasks', container.taskId)?.value;
      // Counted as the replacement of that very failure, by the same spec, with nothing else having come between: a move, a lost node and a new spec are no
      // restarts, and have no delay (semantics: node loss, updates).
      if (task?.replaces !== before.container.taskId || before.container.specNumber !== container.specNumber) return;
      if (!madeForFailure.has(container.taskId)) return;
      const waitedMs = truth.nowMs - before.atMs;
      if (waitedMs + GRAIN_MS < before.delayMs) {
        truth.fail(
          'restart',
          `${truth.describe(container)} was started ${waitedMs.toFixed(0)} ms after the failure before it; its delay is ${before.delayMs} ms`,
        );
      }
    },
  });
}
