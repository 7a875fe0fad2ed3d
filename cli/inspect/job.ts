// How `service inspect` shows a job: its settings and its iterations.
import { enumName, type JobIteration, JobMissed, JobOverlap, type JobSpec, JobState, type ServiceView } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import type { Struct } from '../format/go-template/index.ts';
import { ago, humanDuration, timestamp } from '../format/text.ts';
import type { PrettyItem } from './pretty.ts';

const NANOSECONDS_PER_MS = 1_000_000;

export function jobSpecStruct({ schedule, historyLimit, deadlineMs, ttlMs }: JobSpec): Struct {
  return {
    Schedule:
      schedule === undefined
        ? undefined
        : {
            Cron: schedule.cron,
            TimeZone: schedule.timezone || 'UTC',
            Overlap: overlapName(schedule.overlap),
            Missed: missedName(schedule.missed),
            Paused: schedule.paused,
          },
    HistoryLimit: historyLimit,
    Deadline: deadlineMs === 0 ? undefined : deadlineMs * NANOSECONDS_PER_MS,
    TTL: ttlMs === undefined ? undefined : ttlMs * NANOSECONDS_PER_MS,
  };
}

/** Docker's JobStatus, with what it does not have: how each iteration that is kept has ended. */
export function jobStatusStruct({ status, completedTasks, failedTasks, nextRunUnixMs }: ServiceView): Struct | undefined {
  const newest = status?.job?.iterations.at(-1);
  if (status?.job === undefined) return undefined;
  return {
    JobIteration: newest === undefined ? undefined : { Index: newest.number },
    LastExecution: newest === undefined ? undefined : timestamp(newest.startedUnixMs),
    CompletedTasks: completedTasks,
    FailedTasks: failedTasks,
    NextRun: nextRunUnixMs === 0 ? undefined : timestamp(nextRunUnixMs),
    LastSkipped:
      status.job.skippedUnixMs === 0 ? undefined : { Time: timestamp(status.job.skippedUnixMs), Reason: status.job.skippedReason },
    Iterations: status.job.iterations.map(iterationStruct),
  };
}

function iterationStruct(iteration: JobIteration): Struct {
  const hasEnded = iteration.endedUnixMs > 0;
  return {
    Index: iteration.number,
    SpecNumber: iteration.specNumber,
    State: jobStateName(iteration.state),
    Message: iteration.message || undefined,
    ScheduledFor: iteration.scheduledUnixMs === 0 ? undefined : timestamp(iteration.scheduledUnixMs),
    StartedAt: timestamp(iteration.startedUnixMs),
    EndedAt: hasEnded ? timestamp(iteration.endedUnixMs) : undefined,
    CompletedTasks: hasEnded ? iteration.completed : undefined,
    FailedTasks: hasEnded ? iteration.failed : undefined,
    TotalTasks: hasEnded ? iteration.total : undefined,
  };
}

export function jobLines(service: ServiceView, nowUnixMs: number): readonly PrettyItem[] {
  const { spec, status, completedTasks, totalTasks, failedTasks, nextRunUnixMs } = service;
  const job = spec?.job;
  const schedule = job?.schedule;
  const isPaused = schedule?.paused === true;
  return [
    { indent: 1, name: 'Completed', value: `${String(completedTasks)}/${String(totalTasks)}` },
    { indent: 1, name: 'Failures', value: failedTasks || undefined },
    { indent: 1, name: 'Max Concurrent', value: job?.maxConcurrent || undefined },
    { indent: 1, name: 'Deadline', value: job === undefined || job.deadlineMs === 0 ? undefined : formatDurationMs(job.deadlineMs) },
    { indent: 1, name: 'Time To Live', value: job?.ttlMs === undefined ? undefined : formatDurationMs(job.ttlMs) },
    { indent: 1, name: 'Schedule', value: schedule && `${schedule.cron} (${schedule.timezone || 'UTC'})${isPaused ? ', paused' : ''}` },
    { indent: 1, name: 'Overlap', value: schedule && overlapName(schedule.overlap) },
    { indent: 1, name: 'Missed Runs', value: schedule && missedName(schedule.missed) },
    { indent: 1, name: 'Next Run', value: nextRunUnixMs === 0 ? undefined : nextText(nextRunUnixMs, nowUnixMs) },
    { heading: 'Iterations' },
    ...(status?.job?.iterations ?? []).map((iteration): PrettyItem => ({
      indent: 1,
      name: String(iteration.number),
      value: iterationText(iteration, nowUnixMs),
    })),
  ];
}

function nextText(unixMs: number, nowUnixMs: number): string {
  return `${timestamp(unixMs)} (in ${humanDuration(Math.max(0, unixMs - nowUnixMs)).toLowerCase()})`;
}

function iterationText({ state, message, startedUnixMs, endedUnixMs, completed, total }: JobIteration, nowUnixMs: number): string {
  const since = `started ${ago(startedUnixMs, nowUnixMs).toLowerCase()}`;
  if (endedUnixMs === 0) return `${jobStateName(state)}, ${since}`;
  const why = message === '' ? '' : `: ${message}`;
  return `${jobStateName(state)} ${ago(endedUnixMs, nowUnixMs).toLowerCase()}, ${String(completed)}/${String(total)} completed${why}`;
}

function jobStateName(state: JobState): string {
  return enumName(JobState, state).replace('JOB_', '').toLowerCase();
}

function overlapName(overlap: JobOverlap): string {
  return enumName(JobOverlap, overlap).replace('OVERLAP_', '').toLowerCase();
}

function missedName(missed: JobMissed): string {
  return enumName(JobMissed, missed).replace('MISSED_', '').toLowerCase().replace('_', '-');
}
