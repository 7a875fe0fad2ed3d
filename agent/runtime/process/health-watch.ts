// Runs the health check of one process again and again, and tells its health. The last health is kept on disk: a restarted agent does not
// take a healthy task for a starting one.
import { type Clock, sleep } from '../../../lib/clock.ts';
import { type Health } from '../runtime.ts';
import { type HealthRules, type HealthState, nextHealth, runCheck } from './health-check.ts';
import { type TaskFolder, type TaskRecord } from './task-folder.ts';

export interface HealthWatch {
  readonly folder: TaskFolder;
  readonly record: TaskRecord;
  readonly rules: HealthRules;
  readonly clock: Clock;
}

/** Resolves when the task has ended or was removed; rejects with `cancelled` when the signal aborts. */
export async function followHealth(
  watch: HealthWatch,
  onChange: (health: Health, detail: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { folder, record, rules, clock } = watch;
  const startMs = clock.nowMs();
  const known = await folder.health();
  let state: HealthState = { health: known === 'healthy' || known === 'unhealthy' ? known : 'starting', failures: 0 };
  if (signal.aborted) return;
  onChange(state.health, '');
  let toldDetail = '';
  while (await isThere(folder)) {
    await sleep(clock, rules.intervalMs, signal);
    const { passed, detail } = await runCheck(rules, record.env, record.workdir, clock, signal);
    const next = nextHealth(state, passed, clock.nowMs() - startMs, rules);
    if (isAborted(signal) || !(await isThere(folder))) return;
    if (next.health !== state.health) {
      await folder.noteHealth(next.health);
      onChange(next.health, detail);
    } else if (next.health === 'starting' && detail !== toldDetail) {
      // A check that fails is news, long before it has failed often enough.
      onChange(next.health, detail);
    }
    toldDetail = detail;
    state = next;
  }
}

async function isThere(folder: TaskFolder): Promise<boolean> {
  return (await folder.record()) !== undefined && (await folder.state()).state !== 'exited';
}

/** A function, so that the compiler does not take an earlier look at the signal for the present one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
