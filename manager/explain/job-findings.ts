// How far a job is, and why it is not going on: its newest iteration failed. What its tasks wait for is said task by task.
import { Finding, type JobIteration, JobState } from '../../proto/index.ts';
import { isDone, jobSlotsOf } from '../orchestrator/job-view.ts';
import { nextRunOf } from '../schedule/index.ts';
import { specOf } from '../state/index.ts';
import { isServiceMode, type ServiceScene } from './service-scene.ts';

export function jobFindings({ status, name }: ServiceScene): readonly Finding[] {
  const newest = status?.job?.iterations.at(-1);
  if (newest?.state !== JobState.JOB_FAILED) return [];
  return [
    Finding.create({
      kind: 'job-failed',
      reason: `iteration ${String(newest.number)} failed: ${newest.message}`,
      wayOut: `\`shoal service logs ${name}\` shows what its tasks printed; \`shoal service update --force ${name}\` runs it anew`,
      sinceUnixMs: newest.endedUnixMs,
    }),
  ];
}

/** "iteration 3 runs, 2 of 5 tasks completed; the next one begins at 2026-11-21T03:00:00Z"; empty: no job. */
export function jobSummary(scene: ServiceScene): string {
  const { spec, status } = scene;
  if (isServiceMode(spec.mode)) return '';
  const newest = status?.job?.iterations.at(-1);
  const nextMs = nextRunOf(spec, status?.job?.settledUnixMs ?? 0);
  const next = nextMs === 0 ? '' : `the next one begins at ${new Date(nextMs).toISOString().replace('.000Z', 'Z')}`;
  if (newest === undefined) return next === '' ? 'it has not run yet' : `it has not run yet; ${next}`;
  const now = iterationText(scene, newest);
  const paused = spec.job?.schedule?.paused === true ? 'its schedule is paused' : '';
  return [now, next, paused].filter((part) => part !== '').join('; ');
}

function iterationText(scene: ServiceScene, { number, specNumber, state, completed, total }: JobIteration): string {
  switch (state) {
    case JobState.JOB_RUNNING: {
      const slots = jobSlotsOf(scene.view, scene.service.id, number);
      const done = slots.filter(isDone).length;
      const wanted = scene.isGlobal ? slots.length : (specOf(scene.view, scene.service.id, specNumber)?.replicas ?? slots.length);
      return `iteration ${String(number)} runs, ${String(done)} of ${String(wanted)} tasks completed`;
    }
    case JobState.JOB_COMPLETED:
      return `iteration ${String(number)} has completed, ${String(completed)} of ${String(total)} tasks`;
    case JobState.JOB_FAILED:
      return `iteration ${String(number)} has failed, ${String(completed)} of ${String(total)} tasks completed`;
    case JobState.JOB_REPLACED:
      return `iteration ${String(number)} was replaced`;
  }
}
