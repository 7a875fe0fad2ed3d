// A job in the model cluster: what its iterations and tasks are, seen as users see them.
import assert from 'node:assert/strict';
import { enumName, type JobIteration, JobState, type JobStatus, type ServiceSpec, type Task, TaskState } from '../../proto/index.ts';
import { ReconcileModel } from './reconcile-model.ts';

export const NODES = ['a', 'b', 'c'];

/** The service "batch" on three nodes. */
export class JobModel extends ReconcileModel {
  constructor(spec: ServiceSpec, wallMs?: number) {
    super();
    if (wallMs !== undefined) this.setWall(wallMs);
    for (const id of NODES) this.addNode({ id, cpus: 64 });
    this.create('batch', spec);
    this.settle();
  }

  get wallMs(): number {
    return this.clock.wallMs() + this.wallOffsetMs;
  }

  setWall(wallMs: number): void {
    this.wallOffsetMs = wallMs - this.clock.wallMs();
  }

  get status(): JobStatus {
    return this.state.get('serviceStatus', 'batch')?.value.job ?? assert.fail('no job status');
  }

  iteration(number: number): JobIteration {
    return this.status.iterations.find((one) => one.number === number) ?? assert.fail(`no iteration ${number}`);
  }

  /** "0 completed", oldest first. */
  get iterations(): readonly string[] {
    return this.status.iterations.map(({ number, state }) => `${number} ${enumName(JobState, state).replace('JOB_', '').toLowerCase()}`);
  }

  /** Tasks that run, of an iteration or of all; "slot@node", or the node for a global job. Sorted. */
  running(iteration?: number): readonly string[] {
    return this.runningTasks(iteration).map(placeOf).sort();
  }

  runningTasks(iteration?: number): readonly Task[] {
    return this.tasks('batch').filter((task) => this.isServing(task) && (iteration === undefined || task.jobIteration === iteration));
  }

  /** Slots of an iteration that have completed, sorted; one that did twice is there twice. */
  completed(iteration: number): readonly string[] {
    return this.tasks('batch')
      .filter((task) => task.jobIteration === iteration && this.statusOf(task.id) === TaskState.COMPLETE)
      .map((task) => placeOf(task).replace(/@.*/, ''))
      .sort();
  }

  /** Slots of tasks that shall run. */
  wanted(iteration: number): readonly string[] {
    return this.tasks('batch')
      .filter(
        (task) => task.jobIteration === iteration && task.desired <= TaskState.COMPLETE && this.statusOf(task.id) < TaskState.COMPLETE,
      )
      .map((task) => placeOf(task).replace(/@.*/, ''))
      .sort();
  }

  taskIn(slot: string, iteration?: number): Task {
    const found = this.runningTasks(iteration).find((task) => placeOf(task).replace(/@.*/, '') === slot);
    return found ?? assert.fail(`slot ${slot} does not run`);
  }

  completeSlot(slot: string, iteration?: number): void {
    this.hosts.complete(this.taskIn(slot, iteration).id);
    this.settle();
  }

  crashSlot(slot: string, iteration?: number): void {
    this.hosts.crash(this.taskIn(slot, iteration).id);
    this.settle();
  }
}

function placeOf(task: Task): string {
  return task.slot > 0 ? `${task.slot - 1}@${task.nodeId}` : task.nodeId;
}
