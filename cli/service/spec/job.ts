// What only jobs have: how many tasks at once, when they run, how long they may and how long they are remembered.
import { JobMissed, JobOverlap, JobSchedule, JobSpec, ServiceMode, type ServiceSpec } from '../../../proto/index.ts';
import { isJobMode } from '../../format/service.ts';
import type { FlagReader } from './flag-reader.ts';

const OVERLAPS = { allow: JobOverlap.OVERLAP_ALLOW, forbid: JobOverlap.OVERLAP_FORBID, replace: JobOverlap.OVERLAP_REPLACE };
const MISSED = { 'run-once': JobMissed.MISSED_RUN_ONCE, skip: JobMissed.MISSED_SKIP };
const SETTINGS = ['max-concurrent', 'history-limit', 'job-deadline', 'ttl'];
const SCHEDULE = ['schedule-timezone', 'schedule-overlap', 'schedule-missed'];

export function applyJob({ mode, job: before }: ServiceSpec, flags: FlagReader): JobSpec | undefined {
  if (!isJobMode(mode)) {
    refuseFlags(flags);
    return undefined;
  }
  const base = before ?? JobSpec.create();
  const maxConcurrent = flags.count('max-concurrent');
  if (maxConcurrent !== undefined && mode === ServiceMode.GLOBAL_JOB)
    flags.problem(
      '--max-concurrent',
      `${String(maxConcurrent)} is not taken: a global job runs on all of its nodes at once; a limit is for the mode replicated-job`,
    );
  return {
    maxConcurrent: maxConcurrent ?? base.maxConcurrent,
    schedule: applySchedule(base.schedule, flags),
    historyLimit: flags.count('history-limit') ?? base.historyLimit,
    deadlineMs: flags.durationMs('job-deadline') ?? base.deadlineMs,
    ttlMs: flags.durationMs('ttl') ?? base.ttlMs,
  };
}

/** An empty --schedule takes the schedule away. */
function applySchedule(before: JobSchedule | undefined, flags: FlagReader): JobSchedule | undefined {
  const cron = flags.text('schedule');
  const paused = flags.toggle('schedule-paused');
  const given = {
    timezone: flags.text('schedule-timezone'),
    overlap: flags.choice('schedule-overlap', OVERLAPS),
    missed: flags.choice('schedule-missed', MISSED),
  };
  const base = before ?? (cron === undefined ? undefined : JobSchedule.create());
  if (base === undefined || cron === '') {
    for (const name of SCHEDULE) {
      const value = flags.text(name);
      if (value !== undefined) flags.problem(`--${name}`, `"${value}" needs --schedule`);
    }
    if (paused !== undefined) flags.problem('--schedule-paused', 'needs --schedule');
    return undefined;
  }
  return {
    cron: cron ?? base.cron,
    timezone: given.timezone ?? base.timezone,
    overlap: given.overlap ?? base.overlap,
    missed: given.missed ?? base.missed,
    paused: paused ?? base.paused,
  };
}

function refuseFlags(flags: FlagReader): void {
  const why = 'is for jobs: --mode replicated-job or global-job';
  for (const name of [...SETTINGS, 'schedule', ...SCHEDULE]) {
    const given = flags.text(name);
    if (given !== undefined) flags.problem(`--${name}`, `"${given}" ${why}`);
  }
  if (flags.toggle('schedule-paused') !== undefined) flags.problem('--schedule-paused', why);
}
