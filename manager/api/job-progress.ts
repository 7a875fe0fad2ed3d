// How far a job is, for whoever waits for it: until the iteration that the change began has ended, however it ended. Pure.
import { type JobIteration, JobProgress, JobState, ServiceProgress, type ServiceSpec, SlotProgress, TaskState } from '../../proto/index.ts';
import { nextRunOf } from '../schedule/index.ts';
import { seenSpecNumber, specOf, type StateView } from '../state/index.ts';
import { type JobSlot, jobSlots } from './services/job-view.ts';
import { hostnameOf } from './task-names.ts';
import { isRunning, seenTask, shallRun } from './task-state.ts';
import { earlierError } from './task-words.ts';

/** A view with more lines helps nobody. */
const MAX_WAITING = 100;
const MAX_SLOTS = 20;

/** `spec`: the newest, `specNumber` its number. */
export function jobProgressOf(state: StateView, serviceId: string, spec: ServiceSpec, specNumber: number): ServiceProgress {
  const status = state.get('serviceStatus', serviceId)?.value;
  const iterations = status?.job?.iterations ?? [];
  const hasReacted = seenSpecNumber(status) === specNumber;
  // What the schedule begins is nobody's change.
  const iteration =
    spec.job?.schedule === undefined
      ? iterations.at(-1)
      : iterations.findLast((one) => one.specNumber === specNumber && one.scheduledUnixMs === 0);
  const nextRunUnixMs = nextRunOf(spec, status?.job?.settledUnixMs ?? 0);
  if (!hasReacted || iteration === undefined) {
    return ServiceProgress.create({ serviceId, converged: hasReacted, job: JobProgress.create({ nextRunUnixMs }) });
  }
  const own = specOf(state, serviceId, iteration.specNumber) ?? spec;
  const slots = jobSlots(state, serviceId, own, iteration);
  const isOver = iteration.state !== JobState.JOB_RUNNING;
  const active = slots.filter(({ task, isComplete }) => !isComplete && task !== undefined && shallRun(task));
  const completed = isOver ? iteration.completed : slots.filter(({ isComplete }) => isComplete).length;
  const views = slots.map((slot) => slotView(state, slot));
  const waiting = active.filter(({ task }) => task !== undefined && !isRunning(state, task)).slice(0, MAX_WAITING);
  return ServiceProgress.create({
    serviceId,
    desired: isOver ? 0 : active.length,
    running: active.length - waiting.length,
    waiting: waiting.map((slot) => slotView(state, slot)),
    converged: isOver,
    slots: slots.length <= MAX_SLOTS ? views : [],
    job: JobProgress.create({ iteration, completed, total: totalOf(iteration, slots), nextRunUnixMs }),
  });
}

function totalOf(iteration: JobIteration, slots: readonly JobSlot[]): number {
  return iteration.state === JobState.JOB_RUNNING || iteration.state === JobState.JOB_REPLACED ? slots.length : iteration.total;
}

function slotView(state: StateView, { name, task }: JobSlot): SlotProgress {
  if (task === undefined) return SlotProgress.create({ slot: name, state: TaskState.NEW, message: 'waits for its turn' });
  const seen = seenTask(state, task);
  const own = seen.error || seen.message;
  const earlier = earlierError(state, task);
  const message =
    earlier === '' ? own : `${task.desired === TaskState.READY ? 'waits out its restart delay; ' : ''}its last task failed: ${earlier}`;
  const isPlain = seen.state === TaskState.RUNNING || seen.state === TaskState.COMPLETE;
  return SlotProgress.create({
    slot: name,
    state: seen.state,
    message: isPlain ? '' : message,
    nodeHostname: hostnameOf(state, task.nodeId),
  });
}
