// Time that counts for a job's deadline and time to live. No wall clock is asked, which may be set at any time, and monotonic time does not pass
// between processes: the leader notes now and then how much has passed, and the next one goes on from what is noted. So a change of leader makes
// an end later by the part that was not noted yet, and by the time in which nobody led; it never makes it earlier. Pure.
import { type JobIteration, JobState } from '../../proto/index.ts';
import type { Pass } from './pass.ts';

/** Noted after this share of the limit, within these bounds: few writes, and little that is lost. */
const NOTED_SHARE = 1 / 20;
const MIN_NOTED_MS = 5000;
const MAX_NOTED_MS = 10 * 60_000;

export interface JobTime {
  /** 0 or less: the limit is reached. */
  readonly leftMs: number;
  /** With the time that has passed, where that has to be noted; else the very same object. */
  readonly iteration: JobIteration;
}

/** Of an iteration that runs, since its start; of one that is over, since its end. Has the pass made again in time. */
export function countTime(pass: Pass, iteration: JobIteration, limitMs: number): JobTime {
  const unnotedMs = unnotedTime(pass, iteration);
  const elapsedMs = iteration.elapsedMs + unnotedMs;
  const leftMs = limitMs - elapsedMs;
  if (leftMs <= 0) return { leftMs, iteration };
  const stepMs = Math.min(MAX_NOTED_MS, Math.max(MIN_NOTED_MS, limitMs * NOTED_SHARE));
  const isDue = unnotedMs >= stepMs;
  pass.wakeIn(isDue ? leftMs : Math.min(leftMs, stepMs - unnotedMs));
  return { leftMs, iteration: isDue ? { ...iteration, elapsedMs: Math.floor(elapsedMs) } : iteration };
}

function unnotedTime(pass: Pass, { number, startedUnixMs, state, elapsedMs }: JobIteration): number {
  const what = state === JobState.JOB_RUNNING ? 'runs' : 'over';
  return pass.sinceMs(`${what}:${number}:${startedUnixMs}:${elapsedMs}`);
}
