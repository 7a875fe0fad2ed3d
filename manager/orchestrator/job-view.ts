// What there is of each iteration of a job: its slots, which of them have completed, and which have failed for good. Pure.
import { Availability, type JobIteration, JobState, type JobStatus, ServiceMode, type ServiceSpec, TaskState } from '../../proto/index.ts';
import { placementProblem, takesGlobalTask } from '../constraint/index.ts';
import { specOf, type StateView } from '../state/index.ts';
import type { Pass } from './pass.ts';
import { decideFor } from './restart-window.ts';
import type { RestartDecision } from './restart.ts';
import { emptySlot, jobSlotKey, slotsOf, type SlotTasks } from './slot.ts';
import type { TaskInfo } from './task-info.ts';

export interface IterationView {
  readonly iteration: JobIteration;
  /** It goes by this one; undefined once that is gone. */
  readonly spec: ServiceSpec | undefined;
  readonly isGlobal: boolean;
  /** Tasks may be made: it runs, or has completed on all nodes there were so far. */
  readonly isOpen: boolean;
  /** By name: a number from 0, or a node's id. Those that have tasks, wanted or not. */
  readonly slots: ReadonlyMap<string, SlotTasks>;
  /** Names of the slots that it shall complete. */
  readonly wanted: readonly string[];
}

export function viewIterations(pass: Pass, job: JobStatus, slots: ReadonlyMap<string, SlotTasks>): readonly IterationView[] {
  const byIteration = new Map<number, Map<string, SlotTasks>>();
  for (const slot of slots.values()) {
    const [number, name] = splitKey(slot.key);
    const known = byIteration.get(number);
    if (known === undefined) byIteration.set(number, new Map([[name, slot]]));
    else known.set(name, slot);
  }
  const newest = newestOf(job)?.number;
  return job.iterations.map((iteration) => viewIteration(pass, iteration, byIteration.get(iteration.number), iteration.number === newest));
}

/** `slots`: by name, its own. */
export function viewIteration(
  pass: Pass,
  iteration: JobIteration,
  slots: ReadonlyMap<string, SlotTasks> = new Map(),
  isNewest = true,
): IterationView {
  const spec = specOf(pass.view, pass.serviceId, iteration.specNumber);
  const isGlobal = pass.spec.mode === ServiceMode.GLOBAL_JOB;
  // By schedule, a node that comes later has its turn with the next iteration.
  const waitsForNodes =
    isGlobal && isNewest && iteration.state === JobState.JOB_COMPLETED && !iteration.expired && pass.spec.job?.schedule === undefined;
  const isOpen = spec !== undefined && (iteration.state === JobState.JOB_RUNNING || waitsForNodes);
  return { iteration, spec, isGlobal, isOpen, slots, wanted: isOpen ? wantedNames(pass, spec, isGlobal, slots) : [] };
}

function newestOf({ iterations }: JobStatus): JobIteration | undefined {
  return iterations.at(-1);
}

export function slotNamed(pass: Pass, view: IterationView, name: string): SlotTasks {
  return view.slots.get(name) ?? emptySlot(pass.view, pass.serviceId, jobSlotKey(view.iteration.number, name));
}

/** Slots of one iteration that have tasks. */
export function jobSlotsOf(view: StateView, serviceId: string, iteration: number): readonly SlotTasks[] {
  return [...slotsOf(view, serviceId).values()].filter(({ key }) => splitKey(key)[0] === iteration);
}

function splitKey(key: string): readonly [number, string] {
  const point = key.indexOf('.');
  return [Number(key.slice(0, point)), key.slice(point + 1)];
}

function wantedNames(pass: Pass, spec: ServiceSpec, isGlobal: boolean, slots: ReadonlyMap<string, SlotTasks>): readonly string[] {
  if (!isGlobal) return Array.from({ length: spec.replicas }, (_none, number) => String(number));
  const names = new Set<string>();
  for (const { id, value: node } of pass.view.all('nodes')) {
    const slot = slots.get(id);
    const status = pass.view.get('nodeStatus', id)?.value;
    const placement = spec.task?.placement;
    // As for a global service: what is there stays on a paused node, and on one that does not answer at present.
    const keeps =
      slot?.holder !== undefined &&
      node.spec?.availability !== Availability.DRAIN &&
      placementProblem(placement, node, status) === undefined;
    if (keeps || takesGlobalTask(placement, node, status)) names.add(id);
  }
  // A node that did its part and went counts on.
  for (const [name, slot] of slots) if (isDone(slot)) names.add(name);
  return [...names];
}

// ------------------------------------------------------------ one slot

export function everybody({ holder, others }: SlotTasks): readonly TaskInfo[] {
  return holder === undefined ? others : [holder, ...others];
}

export function isDone(slot: SlotTasks): boolean {
  return everybody(slot).some(hasCompleted);
}

export function hasCompleted({ status }: TaskInfo): boolean {
  return status?.state === TaskState.COMPLETE;
}

/** The task ended by itself, without success, and nothing was done about it yet. By its node's word, even if it was to be moved, or its node went, just then. */
export function hasFailed(info: TaskInfo): boolean {
  if (!info.isFinished || hasCompleted(info)) return false;
  if (info.status?.state === TaskState.FAILED || info.status?.state === TaskState.REJECTED) return true;
  return info.task.desired < TaskState.SHUTDOWN && info.nodeCondition !== 'removed';
}

/** What the restart policy says of a holder that has failed: condition any is as good as on-failure. */
export function restartOf(pass: Pass, slot: SlotTasks, holder: TaskInfo): RestartDecision {
  return decideFor(pass, slot.key, holder);
}

function attemptsOf({ holder }: SlotTasks): number {
  return holder?.task.restart?.attempt ?? 0;
}

/** It failed, and its policy gives it no other try. */
export function isGivenUp(pass: Pass, slot: SlotTasks): boolean {
  const { holder } = slot;
  return holder !== undefined && !isDone(slot) && hasFailed(holder) && restartOf(pass, slot, holder).kind === 'never';
}

/** Failures so far: each but the last has led to another attempt. */
export function failuresOf(slot: SlotTasks): number {
  return attemptsOf(slot) + (slot.holder !== undefined && hasFailed(slot.holder) ? 1 : 0);
}

/** Something of the task runs, or will, as far as can be known: not on a node that is cut off. */
export function isLive(info: TaskInfo): boolean {
  if (info.isWaiting) return info.task.desired < TaskState.SHUTDOWN;
  return !info.isEnded && info.nodeCondition !== 'down';
}
