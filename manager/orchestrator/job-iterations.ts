// Which iterations a job has: begun by a new spec or by the schedule, ended by success, failure, deadline or a newer one, and forgotten beyond the
// history. Pure; the result is one row, compared with what it was made from, so that two leaders never begin the same iteration twice.
import { formatDurationMs } from '../../lib/units.ts';
import {
  type Event,
  type JobIteration,
  JobOverlap,
  JobState,
  type JobStatus,
  type ServiceSpec,
  type ServiceStatus,
} from '../../proto/index.ts';
import { specId, specOf } from '../state/index.ts';
import { countTime } from './job-clock.ts';
import { type DueStart, settleSchedule } from './job-schedule.ts';
import { jobDigest } from './job-spec.ts';
import { everybody, failuresOf, isDone, isGivenUp, isLive, type IterationView, viewIteration } from './job-view.ts';
import type { Pass } from './pass.ts';
import type { WriteGroup } from './plan.ts';
import { endReason, serviceEvent } from './task-events.ts';

const DEFAULT_HISTORY_LIMIT = 5;

/** Undefined: all is as it was. */
export function planIterations(pass: Pass, job: JobStatus, views: readonly IterationView[]): WriteGroup | undefined {
  const { isNewSpec, status: before } = pass.rollout;
  const events: Event[] = [];
  let next = endThose(pass, job, views, events);
  if (isNewSpec) next = takeSpec(pass, next, views, events);
  next = runSchedule(pass, next, views, events);
  next = prune(pass, next);
  if (next === job && !isNewSpec) return undefined;
  const value: ServiceStatus = {
    serviceId: pass.serviceId,
    activeSpecNumber: pass.specNumber,
    seenSpecNumber: pass.service.specNumber,
    rebalance: undefined,
    update: undefined,
    job: next,
    nodeFailures: before?.value.nodeFailures ?? [],
    endedPause: 0,
  };
  const writes = [{ kind: 'put', table: 'serviceStatus', id: pass.serviceId, value, before } as const];
  return { serviceId: pass.serviceId, writes, requires: [], events };
}

// ------------------------------------------------------------ begin

/** A plain job begins anew with each spec that says anything else of the work; a scheduled one only when it is forced. */
function takeSpec(pass: Pass, job: JobStatus, views: readonly IterationView[], events: Event[]): JobStatus {
  const { view, serviceId, spec, service } = pass;
  const earlier = specOf(view, serviceId, pass.rollout.status?.value.activeSpecNumber ?? 0);
  const schedule = spec.job?.schedule;
  let next = job;
  if (JSON.stringify(schedule) !== JSON.stringify(earlier?.job?.schedule)) {
    // What was due before somebody asked for it is not made up for.
    const askedUnixMs = view.get('specs', specId(serviceId, service.specNumber))?.value.createdUnixMs || pass.context.wallMs;
    next = { ...next, settledUnixMs: Math.max(next.settledUnixMs, Math.min(askedUnixMs, pass.context.wallMs)) };
  }
  const isForced = earlier !== undefined && earlier.task?.forceUpdate !== spec.task?.forceUpdate;
  const begins = schedule === undefined ? earlier === undefined || jobDigest(earlier) !== jobDigest(spec) : isForced;
  if (!begins) return next;
  const replaces = schedule === undefined || schedule.overlap !== JobOverlap.OVERLAP_ALLOW;
  return start(pass, next, { scheduledUnixMs: 0, replaces }, views, events);
}

function runSchedule(pass: Pass, job: JobStatus, views: readonly IterationView[], events: Event[]): JobStatus {
  const { due, skipped, settledUnixMs, wakeInMs } = settleSchedule(pass.spec.job?.schedule, job, pass.context.wallMs);
  if (wakeInMs !== undefined) pass.wakeIn(wakeInMs);
  let next = settledUnixMs === job.settledUnixMs ? job : { ...job, settledUnixMs };
  if (skipped !== undefined) {
    next = { ...next, skippedUnixMs: skipped.unixMs, skippedReason: skipped.reason };
    events.push(serviceEvent(pass, 'job', `the run scheduled for ${timeOf(skipped.unixMs)} is left out: ${skipped.reason}`));
  }
  return due === undefined ? next : start(pass, next, due, views, events);
}

function start(
  pass: Pass,
  job: JobStatus,
  { scheduledUnixMs, replaces }: DueStart,
  views: readonly IterationView[],
  events: Event[],
): JobStatus {
  const number = job.nextIteration;
  const begun: JobIteration = {
    number,
    specNumber: pass.specNumber,
    state: JobState.JOB_RUNNING,
    message: '',
    scheduledUnixMs,
    startedUnixMs: pass.context.wallMs,
    endedUnixMs: 0,
    completed: 0,
    failed: 0,
    total: 0,
    expired: false,
    elapsedMs: 0,
  };
  const cause = scheduledUnixMs === 0 ? '' : ` for ${timeOf(scheduledUnixMs)}`;
  events.push(serviceEvent(pass, 'job', `iteration ${number} started${cause}`));
  const replaced = { state: JobState.JOB_REPLACED, message: `iteration ${number} took its place` };
  const iterations = job.iterations.map((iteration) => {
    if (!replaces || iteration.state !== JobState.JOB_RUNNING) return iteration;
    // Begun by the spec in this very pass, there is no view of it yet, and nothing in its slots.
    const view = views.find((other) => other.iteration.number === iteration.number) ?? viewIteration(pass, iteration);
    return ended(pass, view, replaced);
  });
  return { ...job, iterations: [...iterations, begun], nextIteration: number + 1 };
}

// ------------------------------------------------------------ end

function endThose(pass: Pass, job: JobStatus, views: readonly IterationView[], events: Event[]): JobStatus {
  const iterations = views.map((view) => {
    const state = stateOf(pass, view);
    if (state === undefined) return expire(pass, view.iteration);
    if (state.state === view.iteration.state) return goOn(pass, view);
    const next = ended(pass, view, state);
    if (next.state !== JobState.JOB_RUNNING) events.push(serviceEvent(pass, 'job', endText(next)));
    return next;
  });
  return iterations.every((iteration, index) => iteration === job.iterations[index]) ? job : { ...job, iterations };
}

interface Outcome {
  readonly state: JobState;
  readonly message: string;
}

/** How the iteration stands; undefined: it is over. */
function stateOf(pass: Pass, view: IterationView): Outcome | undefined {
  const { iteration, spec } = view;
  if (iteration.state === JobState.JOB_RUNNING && spec === undefined) return { state: JobState.JOB_FAILED, message: 'its spec is gone' };
  if (!view.isOpen) return undefined;
  const slots = view.wanted.map((name) => view.slots.get(name));
  const givenUp = slots.find((slot) => slot !== undefined && isGivenUp(pass, slot));
  const isOver = slots.every((slot) => slot !== undefined && (isDone(slot) || (view.isGlobal && isGivenUp(pass, slot))));
  if (givenUp !== undefined && (isOver || !view.isGlobal))
    return { state: JobState.JOB_FAILED, message: failureText(pass, view, givenUp.key) };
  if (isOver && !hasStragglers(view)) return { state: JobState.JOB_COMPLETED, message: '' };
  const deadlineMs = spec?.job?.deadlineMs ?? 0;
  // One that had completed and has something to do again begins anew.
  const isLate = deadlineMs > 0 && iteration.state === JobState.JOB_RUNNING && countTime(pass, iteration, deadlineMs).leftMs <= 0;
  if (!isLate) return { state: JobState.JOB_RUNNING, message: '' };
  return { state: JobState.JOB_FAILED, message: `did not complete within its deadline of ${formatDurationMs(deadlineMs)}` };
}

/** A global job's part that a node no longer needs to do is being stopped. */
function hasStragglers({ isGlobal, slots, wanted }: IterationView): boolean {
  const names = new Set(wanted);
  return isGlobal && [...slots].some(([name, slot]) => !names.has(name) && everybody(slot).some(isLive));
}

/** Nothing of what it is changes, but its time. */
function goOn(pass: Pass, { iteration, spec }: IterationView): JobIteration {
  if (iteration.state !== JobState.JOB_RUNNING) return expire(pass, iteration);
  const deadlineMs = spec?.job?.deadlineMs ?? 0;
  return deadlineMs === 0 ? iteration : countTime(pass, iteration, deadlineMs).iteration;
}

function failureText(pass: Pass, { slots, wanted, isGlobal }: IterationView, key: string): string {
  const failed = wanted.filter((name) => {
    const slot = slots.get(name);
    return slot !== undefined && isGivenUp(pass, slot);
  });
  const name = failed.find((other) => slots.get(other)?.key === key) ?? '';
  const holder = slots.get(name)?.holder;
  const attempts = holder?.task.restart?.attempt ?? 0;
  const tries = attempts === 0 ? 'it is not to be restarted' : `it was restarted ${attempts} ${attempts === 1 ? 'time' : 'times'}`;
  const reason = `task ${pass.service.name}.${name} ${holder === undefined ? 'failed' : endReason(holder)}; ${tries}`;
  return isGlobal && failed.length > 1 ? `${failed.length} of ${wanted.length} tasks failed: ${reason}` : reason;
}

function ended(pass: Pass, view: IterationView, { state, message }: Outcome): JobIteration {
  let completed = 0;
  let failed = 0;
  for (const slot of view.slots.values()) {
    if (isDone(slot)) completed++;
    failed += failuresOf(slot);
  }
  const isRunning = state === JobState.JOB_RUNNING;
  return {
    ...view.iteration,
    state,
    message,
    endedUnixMs: isRunning ? 0 : pass.context.wallMs,
    completed: isRunning ? 0 : completed,
    failed: isRunning ? 0 : failed,
    total: isRunning ? 0 : view.wanted.length,
    elapsedMs: 0,
  };
}

function endText({ number, state, message, completed, total }: JobIteration): string {
  return state === JobState.JOB_COMPLETED
    ? `iteration ${number} completed: ${completed} of ${total} tasks`
    : `iteration ${number} failed: ${message}`;
}

// ------------------------------------------------------------ forget

/** After the time to live the tasks go; what is known of the iteration itself stays as long as the history goes. */
function expire(pass: Pass, iteration: JobIteration): JobIteration {
  const ttlMs = pass.spec.job?.ttlMs;
  if (ttlMs === undefined || iteration.expired) return iteration;
  const time = countTime(pass, iteration, ttlMs);
  return time.leftMs > 0 ? time.iteration : { ...iteration, expired: true };
}

/** The newest is what the job is at, ended or not. */
function prune(pass: Pass, job: JobStatus): JobStatus {
  const limit = historyLimitOf(pass.spec);
  const old = job.iterations.filter(({ state, number }) => state !== JobState.JOB_RUNNING && number !== job.nextIteration - 1);
  if (old.length <= limit) return job;
  const dropped = new Set(old.slice(0, old.length - limit));
  return { ...job, iterations: job.iterations.filter((iteration) => !dropped.has(iteration)) };
}

function historyLimitOf(spec: ServiceSpec): number {
  return spec.job?.historyLimit ?? DEFAULT_HISTORY_LIMIT;
}

function timeOf(unixMs: number): string {
  return new Date(unixMs).toISOString().replace(/\.000Z$/, 'Z');
}
