// Jobs: a slot that has completed is never run again, an iteration has completed only when every slot of it has, no more tasks run at once than it allows; and
// schedules: each time that comes due is begun once or left out for a reason, whoever leads, and never twice.
import { scheduledTimes } from '../../../manager/schedule/index.ts';
import { seenSpecNumber } from '../../../manager/state/index.ts';
import {
  type JobIteration,
  JobOverlap,
  JobState,
  type JobStatus,
  ServiceMode,
  type ServiceSpec,
  type ServiceStatus,
  TaskState,
} from '../../../proto/index.ts';
import type { Container } from '../parts/engine.ts';
import { short } from '../core/trace.ts';
import { DECIDE_MS, isExcused } from '../truth/excuse.ts';
import type { Finishes } from '../truth/finishes.ts';
import { isJob, type Truth } from '../truth/truth.ts';

/** A wall clock that stood wrong when a time came is looked at again within a minute. */
const LOOK_AGAIN_MS = 60_000;

export function completedSlotsStay(truth: Truth): void {
  const { mirror } = truth;
  /** When a slot's completion was known to the store. */
  const doneMs = new Map<string, number>();
  mirror.onChange((change) => {
    if (change.table === 'taskStatus' && change.after?.value.state === TaskState.COMPLETE) {
      const task = mirror.get('tasks', change.id)?.value;
      if (task?.jobIteration === undefined) return;
      const slot = truth.slotOf({ taskId: task.id, serviceId: task.serviceId, slot: nameOf(task) });
      if (!doneMs.has(slot)) doneMs.set(slot, truth.nowMs);
    }
    if (change.table !== 'tasks' || change.before !== undefined || change.after?.value.jobIteration === undefined) return;
    const task = change.after.value;
    const slot = truth.slotOf({ taskId: task.id, serviceId: task.serviceId, slot: nameOf(task) });
    if (doneMs.has(slot)) truth.fail('job', `task ${short(task.id)} is made for slot ${short(slot)}${slot.slice(25)}, which has completed`);
  });
  truth.listen({
    started(container) {
      const slot = truth.slotOf(container);
      const sinceMs = doneMs.get(slot);
      // Made before, for a node that was lost; the word of the completion takes its time to it.
      if (sinceMs === undefined || truth.nowMs - Math.max(sinceMs, truth.undecidedMs) <= DECIDE_MS || isExcused(truth, container)) return;
      truth.fail('job', `${truth.describe(container)} was started, and its slot has completed`);
    },
  });
}

export function iterationsEndWhenDone(truth: Truth, { of }: Finishes): void {
  truth.mirror.onChange((change) => {
    if (change.table !== 'serviceStatus' || change.after === undefined) return;
    const before = iterationsOf(change.before?.value);
    const mode = truth.newestSpec(change.id)?.mode;
    for (const iteration of iterationsOf(change.after.value)) {
      const was = before.find(({ number }) => number === iteration.number);
      if (iteration.state !== JobState.JOB_COMPLETED || was?.state === JobState.JOB_COMPLETED) continue;
      const prefix = `${change.id}/${iteration.number}.`;
      const finished = [...of.keys()].filter((slot) => slot.startsWith(prefix));
      const spec = truth.specOf({ serviceId: change.id, specNumber: iteration.specNumber });
      const wanted = mode === ServiceMode.REPLICATED_JOB ? (spec?.replicas ?? iteration.total) : iteration.completed;
      if (finished.length < wanted || iteration.completed < iteration.total)
        truth.fail(
          'job',
          `iteration ${iteration.number} of service ${short(change.id)} has completed, it is said: ${finished.length} of ${wanted} slots have`,
        );
    }
  });
}

/** Counted over all iterations that run, unless they may overlap. */
export function limitsAreKept(truth: Truth): void {
  const running = new Map<string, Set<Container>>();
  const judge = (serviceId: string): void => {
    const counted = [...(running.get(serviceId) ?? [])].filter((container) => !isExcused(truth, container));
    const newest = truth.newestSpec(serviceId);
    if (counted.length < 2 || newest === undefined || mayOverlap(newest)) return;
    const specs = [newest, ...counted.map((container) => truth.specOf(container))];
    if (specs.some(mayOverlap)) return;
    if (newest.mode === ServiceMode.GLOBAL_JOB) {
      const hosts = counted.map(({ host }) => host);
      const twice = hosts.find((host, at) => hosts.indexOf(host) !== at);
      if (twice !== undefined) truth.fail('job', `${twice} runs two tasks of job ${newest.name}`);
      return;
    }
    const most = Math.max(
      ...specs.map((spec) => (spec === undefined ? 0 : Math.min(spec.job?.maxConcurrent || spec.replicas, spec.replicas))),
    );
    if (counted.length > most) truth.fail('job', `job ${newest.name} runs ${counted.length} tasks at once, at most ${most}`);
  };
  truth.listen({
    started(container) {
      if (!isJob(truth.specOf(container))) return;
      const { serviceId } = container;
      running.set(serviceId, (running.get(serviceId) ?? new Set<Container>()).add(container));
      judge(serviceId);
    },
    ended(container) {
      running.get(container.serviceId)?.delete(container);
    },
    tick() {
      for (const serviceId of running.keys()) judge(serviceId);
    },
  });
}

export function schedulesAreKept(truth: Truth): void {
  const { mirror } = truth;
  /** Scheduled times that were begun, and numbers of iterations that were given, by service. */
  const begun = new Map<string, Set<string>>();
  const judge = (serviceId: string, before: ServiceStatus | undefined, after: ServiceStatus): void => {
    const known = begun.get(serviceId) ?? new Set<string>();
    begun.set(serviceId, known);
    const earlier = new Set(iterationsOf(before).map(({ number }) => number));
    const spec = truth.newestSpec(serviceId);
    for (const iteration of iterationsOf(after)) {
      if (earlier.has(iteration.number)) continue;
      for (const name of namesOf(iteration)) {
        if (known.has(name)) truth.fail('schedule', `service ${short(serviceId)} began ${name} a second time`);
        known.add(name);
      }
      const others = iterationsOf(after).filter(({ number, state }) => number < iteration.number && state === JobState.JOB_RUNNING);
      if (others.length > 0 && spec !== undefined && !mayOverlap(spec))
        truth.fail('schedule', `service ${short(serviceId)} began iteration ${iteration.number} while ${others[0]?.number ?? 0} runs`);
    }
    judgeSettled(serviceId, before, after, spec, known);
  };
  const judgeSettled = (
    serviceId: string,
    before: ServiceStatus | undefined,
    after: ServiceStatus,
    spec: ServiceSpec | undefined,
    known: ReadonlySet<string>,
  ): void => {
    const settledMs = after.job?.settledUnixMs ?? 0;
    // A new schedule leaves out what was due before anybody asked for it.
    if (settledMs <= (before?.job?.settledUnixMs ?? 0) || seenSpecNumber(before) !== seenSpecNumber(after)) return;
    if (known.has(timeName(settledMs))) return;
    const { skippedUnixMs, skippedReason } = after.job ?? { skippedUnixMs: 0, skippedReason: '' };
    if (skippedUnixMs !== settledMs)
      truth.fail('schedule', `service ${short(serviceId)} has settled ${settledMs}, and did nothing about it`);
    else if (skippedReason.endsWith('still runs')) {
      const runs = iterationsOf(after).some(({ state }) => state === JobState.JOB_RUNNING);
      if (!runs || spec?.job?.schedule?.overlap !== JobOverlap.OVERLAP_FORBID)
        truth.fail('schedule', `service ${short(serviceId)} left out ${settledMs}: ${skippedReason}, and none does`);
    }
  };
  mirror.onChange((change) => {
    if (change.table === 'serviceStatus' && change.after !== undefined) judge(change.id, change.before?.value, change.after.value);
  });
  truth.listen({
    tick() {
      for (const { id, value } of mirror.all('serviceStatus')) {
        const dueMs = overdueSince(truth, id, value.job);
        if (dueMs !== undefined) truth.fail('schedule', `service ${short(id)} did nothing about ${dueMs}, for which it was due`);
      }
    },
  });
}

/** A time that came due while somebody led, long enough ago to have been dealt with. */
function overdueSince(truth: Truth, serviceId: string, job: JobStatus | undefined): number | undefined {
  const { mirror, wallMs, nowMs } = truth;
  const service = mirror.get('services', serviceId)?.value;
  const stored = service && mirror.get('specs', `${serviceId}/${service.specNumber}`);
  const schedule = stored?.value.spec?.job?.schedule;
  if (job === undefined || schedule === undefined || schedule.paused || service === undefined) return undefined;
  const ledMs = nowMs - Math.max(truth.undecidedMs, truth.wallJumpMs + LOOK_AGAIN_MS, specSinceMs(truth, serviceId, service.specNumber));
  const dueMs = scheduledTimes(schedule)?.next(job.settledUnixMs);
  return dueMs !== undefined && ledMs > DECIDE_MS && wallMs - dueMs > DECIDE_MS ? dueMs : undefined;
}

/** When it was first seen here. */
function specSinceMs(truth: Truth, serviceId: string, specNumber: number): number {
  return truth.specSinceMs.get(`${serviceId}/${specNumber}`) ?? truth.nowMs;
}

function iterationsOf(status: ServiceStatus | undefined): readonly JobIteration[] {
  return status?.job?.iterations ?? [];
}

function namesOf({ number, scheduledUnixMs }: JobIteration): readonly string[] {
  return [`iteration ${number}`, ...(scheduledUnixMs === 0 ? [] : [timeName(scheduledUnixMs)])];
}

function timeName(unixMs: number): string {
  return `the run of ${unixMs}`;
}

/** Iterations of a schedule that allows it run side by side. */
function mayOverlap(spec: ServiceSpec | undefined): boolean {
  const schedule = spec?.job?.schedule;
  return schedule !== undefined && schedule.overlap === JobOverlap.OVERLAP_ALLOW;
}

function nameOf({ slot, nodeId }: { readonly slot: number; readonly nodeId: string }): string {
  return slot === 0 ? nodeId : String(slot);
}
