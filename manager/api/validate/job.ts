// What only jobs have, and what they do not have.
import { JobMissed, JobOverlap, type JobSchedule, type JobSpec, ServiceMode, type ServiceSpec } from '../../../proto/index.ts';
import { isJobMode } from '../job-mode.ts';
import { scheduleProblems } from '../../schedule/index.ts';
import { checkCount, checkDuration, checkEnum, type Report } from './report.ts';

/** Each is a row of service-status, and keeps its tasks. */
const MAX_HISTORY = 100;
/** What a field of 32 bits holds. */
const MAX_TTL_MS = 49 * 24 * 60 * 60_000;

export function checkJob({ mode, job, update, rollback }: ServiceSpec, maxConcurrent: number, report: Report): void {
  if (!isJobMode(mode)) {
    if (job !== undefined) report('job', 'only a job takes these settings: its mode is replicated-job or global-job');
    return;
  }
  const why = 'a job is not updated task by task: a new spec begins it anew, and it takes no such settings';
  if (update !== undefined) report('update', why);
  if (rollback !== undefined) report('rollback', why);
  if (job !== undefined) checkSettings(mode, job, maxConcurrent, report);
}

function checkSettings(mode: ServiceMode, job: JobSpec, maxConcurrent: number, report: Report): void {
  if (mode === ServiceMode.GLOBAL_JOB && job.maxConcurrent !== 0)
    report('job.maxConcurrent', `${job.maxConcurrent} is not taken: a global job runs on all of its nodes at once`);
  else checkCount('job.maxConcurrent', job.maxConcurrent, maxConcurrent, report);
  checkCount('job.historyLimit', job.historyLimit ?? 0, MAX_HISTORY, report);
  checkDuration('job.deadlineMs', job.deadlineMs, report);
  checkDuration('job.ttlMs', job.ttlMs, report, MAX_TTL_MS);
  if (job.schedule !== undefined) checkSchedule(job.schedule, report);
}

function checkSchedule(schedule: JobSchedule, report: Report): void {
  for (const { field, message } of scheduleProblems(schedule)) report(`job.schedule.${field}`, message);
  checkEnum('job.schedule.overlap', schedule.overlap, JobOverlap, report);
  checkEnum('job.schedule.missed', schedule.missed, JobMissed, report);
}
