// What a schedule asks for at a moment of the wall clock, given what was done about it before. Pure.
//
// Cron is the only thing that goes by the wall clock. `settledUnixMs` only grows: a clock that is set back runs nothing a second time, one that is
// set forward makes up once for what it jumped over.
import { JobMissed, JobOverlap, type JobSchedule, JobState, type JobStatus } from '../../proto/index.ts';
import { scheduledTimes } from '../schedule/index.ts';

export interface DueStart {
  /** 0: not by schedule. */
  readonly scheduledUnixMs: number;
  /** Iterations that still run are stopped. */
  readonly replaces: boolean;
}

export interface ScheduleStep {
  readonly due: DueStart | undefined;
  readonly skipped: { readonly unixMs: number; readonly reason: string } | undefined;
  readonly settledUnixMs: number;
  readonly wakeInMs: number | undefined;
}

/** Later than that a scheduled time was missed: a change of leader takes less. */
const ON_TIME_MS = 60_000;
/** A wall clock that is set does not say so: it is looked at again. */
const LOOK_AGAIN_MS = 60_000;
/** Nothing is settled so far ahead unless the clock was wrong then. */
const MAX_AHEAD_MS = 24 * 60 * 60_000;
/** Iterations that run at the same time; each may have as many tasks as the job allows. */
const MAX_AT_ONCE = 10;

export function settleSchedule(schedule: JobSchedule | undefined, job: JobStatus, wallMs: number): ScheduleStep {
  const times = schedule === undefined || schedule.paused ? undefined : scheduledTimes(schedule);
  const settledMs = job.settledUnixMs > wallMs + MAX_AHEAD_MS ? wallMs : job.settledUnixMs;
  const nothing = { due: undefined, skipped: undefined, settledUnixMs: settledMs };
  if (times === undefined || schedule === undefined) return { ...nothing, settledUnixMs: job.settledUnixMs, wakeInMs: undefined };
  const wakeFrom = (fromMs: number): number => Math.min(LOOK_AGAIN_MS, (times.next(fromMs) ?? Number.POSITIVE_INFINITY) - wallMs);
  const firstMs = times.next(settledMs);
  if (firstMs === undefined || firstMs > wallMs) return { ...nothing, wakeInMs: wakeFrom(settledMs) };
  // Of several that have passed the newest counts for all.
  const dueMs = Math.max(firstMs, times.latest(wallMs) ?? firstMs);
  const decision = decide(schedule, job, dueMs, wallMs);
  return {
    due: decision === 'start' ? { scheduledUnixMs: dueMs, replaces: schedule.overlap === JobOverlap.OVERLAP_REPLACE } : undefined,
    skipped: decision === 'start' || decision === 'done' ? undefined : { unixMs: dueMs, reason: decision.skip },
    settledUnixMs: dueMs,
    wakeInMs: wakeFrom(Math.max(dueMs, wallMs)),
  };
}

type Decision = 'start' | 'done' | { readonly skip: string };

function decide({ overlap, missed }: JobSchedule, { iterations }: JobStatus, dueMs: number, wallMs: number): Decision {
  if (iterations.some(({ scheduledUnixMs }) => scheduledUnixMs === dueMs)) return 'done';
  if (missed === JobMissed.MISSED_SKIP && wallMs - dueMs > ON_TIME_MS) return { skip: 'it was missed, as no manager led at that time' };
  const running = iterations.filter(({ state }) => state === JobState.JOB_RUNNING);
  const [first] = running;
  switch (overlap) {
    case JobOverlap.OVERLAP_REPLACE:
      return 'start';
    case JobOverlap.OVERLAP_FORBID:
      return first === undefined ? 'start' : { skip: `iteration ${first.number} still runs` };
    case JobOverlap.OVERLAP_ALLOW:
      return running.length < MAX_AT_ONCE ? 'start' : { skip: `${running.length} iterations run already` };
  }
}
