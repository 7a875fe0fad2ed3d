// How far a job's newest iteration is: what runs, what has completed, what is left. By the leader's own rules, from what it wrote. Pure.
import { type JobIteration, JobState, ServiceMode, type ServiceSpec, type Task, TaskState } from '../../../proto/index.ts';
import { nextRunOf } from '../../schedule/index.ts';
import { specOf, type StateView } from '../../state/index.ts';
import { eligibleNodes } from '../eligible-nodes.ts';
import { hostnameOf, slotOf } from '../task-names.ts';
import { isRunning, seenTask, shallRun } from '../task-state.ts';

export interface JobCounts {
  /** Of all iterations. */
  readonly runningTasks: number;
  /** Tasks that shall run now; the rest of these are of the newest iteration. */
  readonly desiredTasks: number;
  readonly completedTasks: number;
  readonly totalTasks: number;
  readonly failedTasks: number;
  /** 0: never, or paused. */
  readonly nextRunUnixMs: number;
}

export interface JobSlot {
  /** "3", or the node's hostname. */
  readonly name: string;
  /** The task that has completed it, else the newest; undefined: none was made yet. */
  readonly task: Task | undefined;
  readonly isComplete: boolean;
}

export function jobCounts(state: StateView, serviceId: string, spec: ServiceSpec): JobCounts {
  const status = state.get('serviceStatus', serviceId)?.value.job;
  let runningTasks = 0;
  for (const { value: task } of state.tasksOfService(serviceId)) if (isRunning(state, task)) runningTasks++;
  const iteration = status?.iterations.at(-1);
  const nextRunUnixMs = nextRunOf(spec, status?.settledUnixMs ?? 0);
  if (iteration === undefined) {
    const totalTasks = spec.mode === ServiceMode.GLOBAL_JOB ? eligibleNodes(state, spec).length : spec.replicas;
    return { runningTasks, desiredTasks: 0, completedTasks: 0, totalTasks, failedTasks: 0, nextRunUnixMs };
  }
  if (iteration.state !== JobState.JOB_RUNNING) {
    const { completed: completedTasks, total: totalTasks, failed: failedTasks } = iteration;
    return { runningTasks, desiredTasks: 0, completedTasks, totalTasks, failedTasks, nextRunUnixMs };
  }
  const own = specOf(state, serviceId, iteration.specNumber) ?? spec;
  const slots = jobSlots(state, serviceId, own, iteration);
  const completedTasks = slots.filter(({ isComplete }) => isComplete).length;
  const left = slots.length - completedTasks;
  return {
    runningTasks,
    desiredTasks: own.mode === ServiceMode.GLOBAL_JOB ? left : Math.min(own.job?.maxConcurrent || left, left),
    completedTasks,
    totalTasks: slots.length,
    failedTasks: slots.reduce((sum, { task }) => sum + (task === undefined ? 0 : failuresOf(state, task)), 0),
    nextRunUnixMs,
  };
}

/** Those of one iteration, in order; `spec`: the one that it goes by. */
export function jobSlots(state: StateView, serviceId: string, spec: ServiceSpec, { number }: JobIteration): readonly JobSlot[] {
  const tasks = new Map<string, { task: Task; isComplete: boolean; revision: number }>();
  for (const { value: task, createRevision: revision } of state.tasksOfService(serviceId)) {
    if (task.jobIteration !== number) continue;
    const slot = slotOf(task);
    const isComplete = seenTask(state, task).state === TaskState.COMPLETE;
    const known = tasks.get(slot);
    if (known === undefined || (!known.isComplete && (isComplete || revision > known.revision)))
      tasks.set(slot, { task, isComplete, revision });
  }
  const slotFor = (key: string, name: string): JobSlot => {
    const found = tasks.get(key);
    return { name, task: found?.task, isComplete: found?.isComplete ?? false };
  };
  if (spec.mode !== ServiceMode.GLOBAL_JOB) {
    return Array.from({ length: spec.replicas }, (_none, index) => slotFor(String(index), String(index)));
  }
  const nodes = new Set(eligibleNodes(state, spec));
  for (const [nodeId, { task, isComplete }] of tasks) {
    if (isComplete || (shallRun(task) && state.get('nodes', nodeId) !== undefined)) nodes.add(nodeId);
  }
  const named = [...nodes].map((nodeId) => slotFor(nodeId, hostnameOf(state, nodeId) || nodeId));
  return named.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Failures of the slot: each but the last has led to another attempt. */
function failuresOf(state: StateView, task: Task): number {
  const seen = seenTask(state, task).state;
  const hasFailed = (seen === TaskState.FAILED || seen === TaskState.REJECTED) && shallRun(task);
  return (task.restart?.attempt ?? 0) + (hasFailed ? 1 : 0);
}
