// The verbs of transcripts that are about jobs: ends of tasks, the wall clock, iterations.
import assert from 'node:assert/strict';
import { formatDurationMs } from '../../../lib/units.ts';
import { shownSlot } from '../../../manager/state/index.ts';
import { enumName, type JobIteration, JobState, type Task, TaskState } from '../../../proto/index.ts';
import type { ReconcileModel } from '../reconcile-model.ts';
import type { Verbs } from './transcript.ts';

export function jobVerbs(model: ReconcileModel, settle: () => void): Verbs {
  return {
    acts: {
      /** complete TASK... of those that run: "batch.0" */
      complete: (names) => {
        for (const name of names) model.hosts.complete(running(model, name).id);
        settle();
      },
      /** fail TASK... of those that run */
      fail: (names) => {
        for (const name of names) model.hosts.crash(running(model, name).id);
        settle();
      },
      /** wall TIME: sets the wall clock, "2026-11-21T00:00Z" */
      wall: ([time = '']) => {
        model.wallOffsetMs = Date.parse(time) - model.clock.wallMs();
        assert.ok(!Number.isNaN(model.wallOffsetMs), `"${time}" is no time`);
      },
      /** gap DURATION: nobody leads meanwhile, and then another does */
      gap: ([duration = '']) => {
        model.clock.advance(Number.parseFloat(duration) * 3_600_000);
        model.changeLeader();
        settle();
      },
    },
    views: {
      /** How many tasks are kept of a job, ended ones included. */
      kept: ([name = '']) => [`${model.tasks(name).length} tasks`],
      /** Iterations, then the tasks of jobs that run. */
      job: ([name = '']) => {
        const status = model.state.get('serviceStatus', name)?.value.job;
        const skipped =
          status === undefined || status.skippedUnixMs === 0 ? [] : [`left out: ${timeOf(status.skippedUnixMs)}, ${status.skippedReason}`];
        const lines = (status?.iterations ?? []).map(iterationLine);
        return lines.length + skipped.length === 0 ? ['nothing ran'] : [...lines, ...skipped, ...tasksOf(model, name)];
      },
    },
  };
}

function iterationLine({ number, specNumber, state, scheduledUnixMs, completed, total, message, endedUnixMs }: JobIteration): string {
  const name = enumName(JobState, state).replace('JOB_', '').toLowerCase();
  const cause = scheduledUnixMs === 0 ? '' : ` for ${timeOf(scheduledUnixMs)}`;
  const counts = endedUnixMs === 0 ? '' : `, ${completed} of ${total}`;
  return `iteration ${number}${cause} of spec ${specNumber}: ${name}${counts}${message === '' ? '' : `: ${message}`}`;
}

function tasksOf(model: ReconcileModel, serviceId: string): readonly string[] {
  const shall = model.tasks(serviceId).filter((task) => task.desired <= TaskState.COMPLETE && model.statusOf(task.id) < TaskState.COMPLETE);
  const lines = shall.map((task) => {
    const state = enumName(TaskState, model.statusOf(task.id)).toLowerCase();
    const restart = task.restart === undefined ? '' : `, restart ${task.restart.attempt} after ${formatDurationMs(task.restart.delayMs)}`;
    return `${nameOf(task)} of iteration ${task.jobIteration ?? '?'} ${state} on ${task.nodeId}${task.lost ? ', lost' : ''}${restart}`;
  });
  return lines.sort();
}

function running(model: ReconcileModel, name: string): Task {
  const [service = ''] = name.split('.');
  const task = model.tasks(service).find((other) => nameOf(other) === name && model.isServing(other));
  return task ?? assert.fail(`no task runs as ${name}`);
}

function nameOf(task: Task): string {
  return `${task.serviceId}.${task.slot > 0 ? shownSlot(task) : task.nodeId}`;
}

function timeOf(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 16);
}
