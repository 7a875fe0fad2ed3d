// Performs what a task's machine asks for, over the runtime: one operation at a time per task, retried with back-off, and turns what happens
// into the machine's next event. Also keeps the task's ports, and has its probes asked.
import { type Assignment, TaskState, TaskStatus } from '../../proto/index.ts';
import { backoff, type Backoff } from '../../lib/backoff.ts';
import { type Clock, sleep } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { endpointsOf, type ProbeTargets } from '../endpoints/endpoints.ts';
import type { HealthDeps } from '../health/task-health.ts';
import type { PortLeases } from '../ports/port-leases.ts';
import type { Instance, LeasedPort, Runtime, TaskContext } from '../runtime/runtime.ts';
import type { Limiter } from './limiter.ts';
import { accept, adopt, isFinal, step } from './task-machine.ts';
import type { Desired, Failure, Operation, Phase, Step, TaskEvent, TaskMachine } from './task-model.ts';
import { type TaskWatch, watchRunning, watchStarting } from './task-watch.ts';

export interface RunnerDeps {
  readonly runtime: Runtime;
  readonly ports: PortLeases;
  readonly probe: ProbeTargets;
  readonly health: HealthDeps;
  /** For prepare, start and remove; stops have one of their own, since they mostly wait. */
  readonly engine: Limiter;
  readonly stops: Limiter;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly node: { readonly nodeId: string; readonly clusterId: string; readonly dataAddress: string };
  /** The status is another than before. */
  readonly changed: (runner: TaskRunner) => void;
  /** Nothing is left of the task. */
  readonly gone: (runner: TaskRunner) => void;
}

const RETRY = { baseMs: 250, capMs: 10_000 };
/** Starting comes before preparing comes before cleaning up: what is nearly there is finished first. */
const PRIORITY: Readonly<Record<Operation, number>> = { start: 0, stop: 0, prepare: 1, remove: 2 };
const ABANDONED = new ShoalError('cancelled', 'no longer wanted');

export class TaskRunner {
  readonly taskId: string;
  readonly #deps: RunnerDeps;
  #assignment: Assignment;
  #machine: TaskMachine;
  #ports: readonly LeasedPort[] = [];
  /** Of the same container, by an earlier agent; until the task has left RUNNING. */
  #recorded: TaskStatus | undefined;
  /** While its container runs and is not being stopped. */
  #watched: TaskWatch | undefined;
  #sinceUnixMs: number;
  /** Of the operation under way or waiting; aborted by `cancel`. */
  #operation = new AbortController();
  /** Settles when the last operation has: the next one waits for it. */
  #last: Promise<void> = Promise.resolve();
  #attached: AbortController | undefined;
  readonly #retry: Backoff;

  private constructor(deps: RunnerDeps, assignment: Assignment, machine: TaskMachine, sinceUnixMs: number) {
    this.#deps = deps;
    this.#assignment = assignment;
    this.taskId = assignment.taskId;
    this.#machine = machine;
    this.#sinceUnixMs = sinceUnixMs;
    this.#retry = backoff(RETRY, deps.rng);
  }

  /** A task that this node has nothing of yet. */
  static accept(deps: RunnerDeps, assignment: Assignment): TaskRunner {
    return TaskRunner.#begin(deps, assignment, accept(desiredOf(assignment), hasStartUp(assignment)), [], deps.clock.wallMs(), undefined);
  }

  /** A task from before the agent's start: `instance` stands on the host, `recorded` is its last status. */
  static adopt(
    deps: RunnerDeps,
    assignment: Assignment,
    desired: Desired,
    instance: Instance | undefined,
    recorded: TaskStatus | undefined,
  ): TaskRunner {
    const known = recorded === undefined ? undefined : { ...recorded, observed: recorded.state };
    const first = adopt(desired, instance, known, hasStartUp(assignment));
    const same = recorded !== undefined && recorded.state === first.next.observed;
    const sinceUnixMs = same ? recorded.sinceUnixMs : deps.clock.wallMs();
    const stands = same && recorded.containerId === instance?.containerId ? recorded : undefined;
    return TaskRunner.#begin(deps, assignment, first, instance?.ports ?? [], sinceUnixMs, stands);
  }

  static #begin(
    deps: RunnerDeps,
    assignment: Assignment,
    first: Step,
    ports: readonly LeasedPort[],
    sinceUnixMs: number,
    recorded: TaskStatus | undefined,
  ): TaskRunner {
    const runner = new TaskRunner(deps, assignment, first.next, sinceUnixMs);
    runner.#ports = ports;
    runner.#recorded = recorded;
    if (ports.length > 0 && !isFinal(first.next.observed)) deps.ports.adopt(assignment.taskId, ports);
    runner.#enter(first, undefined);
    return runner;
  }

  get assignment(): Assignment {
    return this.#assignment;
  }

  get machine(): TaskMachine {
    return this.#machine;
  }

  /** Takes the assignment's newest form; only desired ever differs. */
  assign(assignment: Assignment): void {
    this.#assignment = assignment;
    this.dispatch({ kind: 'desired', desired: desiredOf(assignment) });
  }

  dispatch(event: TaskEvent): void {
    const before = this.#machine;
    const taken = step(before, event);
    this.#machine = taken.next;
    this.#enter(taken, before);
  }

  status(): TaskStatus {
    const machine = this.#machine;
    const isThere = machine.phase === 'checking' || machine.phase === 'stopping';
    const unready = isThere ? endpointsOf(this.#ports, new Set(), this.#deps.node.dataAddress, machine.instance?.address) : [];
    return TaskStatus.create({
      taskId: this.taskId,
      nodeId: this.#deps.node.nodeId,
      state: machine.observed,
      sinceUnixMs: this.#sinceUnixMs,
      message: machine.message,
      error: machine.error,
      exitCode: machine.exitCode,
      containerId: machine.instance?.containerId ?? '',
      pid: isFinal(machine.observed) ? 0 : (machine.instance?.pid ?? 0),
      endpoints: this.#watched?.traffic?.endpoints() ?? unready,
      readiness: this.#watched?.traffic?.readiness(),
    });
  }

  /** Lets go of everything without touching the task: the agent stops, the task goes on. */
  detach(): void {
    this.#operation.abort(ABANDONED);
    this.#attached?.abort(ABANDONED);
    this.#watched?.stop();
  }

  #enter(taken: Step, before: TaskMachine | undefined): void {
    const after = taken.next;
    if (before !== undefined && after.observed !== before.observed) this.#sinceUnixMs = this.#deps.clock.wallMs();
    if (before?.phase !== after.phase) this.#phaseChanged(after);
    for (const effect of taken.effects) {
      switch (effect.do) {
        case 'cancel':
          this.#operation.abort(ABANDONED);
          this.#operation = new AbortController();
          break;
        case 'attach':
          this.#attach();
          break;
        case 'forget':
          this.#deps.gone(this);
          break;
        case 'prepare':
        case 'start':
        case 'stop':
        case 'remove':
          this.#perform(effect.do, effect.again);
          break;
      }
    }
    if (before !== undefined && before !== after) this.#deps.changed(this);
  }

  #phaseChanged(machine: TaskMachine): void {
    this.#watched?.stop();
    this.#watched = this.#watch(machine.phase);
    if (isFinal(machine.observed)) {
      this.#attached?.abort(ABANDONED);
      this.#attached = undefined;
      this.#deps.ports.release(this.taskId);
    }
  }

  #watch(phase: Phase): TaskWatch | undefined {
    const { taskId } = this;
    const { probe, health, node } = this.#deps;
    const target = { taskId, address: this.#machine.instance?.address, dataAddress: node.dataAddress, ports: this.#ports };
    const dispatch = (event: TaskEvent): void => {
      this.dispatch(event);
    };
    const options = { spec: this.#assignment.spec, target, probe, health, dispatch };
    if (phase === 'checking') return watchStarting(options);
    if (phase !== 'running') return undefined;
    const recorded = this.#recorded;
    // It stands for the container as the earlier agent knew it, not for what becomes of it under this one.
    this.#recorded = undefined;
    return watchRunning(options, recorded, () => {
      this.#deps.changed(this);
    });
  }

  /** Queues an operation behind the one under way. Its failure becomes an event; one that was cancelled becomes nothing. */
  #perform(operation: Operation, again: boolean): void {
    const { signal } = this.#operation;
    if (!again) this.#retry.reset();
    this.#last = this.#last.then(async () => {
      const event = await this.#attempt(operation, again, signal);
      if (event !== undefined && !signal.aborted) this.dispatch(event);
    });
  }

  async #attempt(operation: Operation, again: boolean, signal: AbortSignal): Promise<TaskEvent | undefined> {
    const abandoned = (): boolean => signal.aborted;
    if (abandoned()) return undefined;
    const { clock, stops, engine, log } = this.#deps;
    try {
      if (again) await sleep(clock, this.#retry.nextMs(), signal);
      const room = operation === 'stop' ? stops : engine;
      return await room.run(PRIORITY[operation], signal, () => this.#call(operation, again, signal));
    } catch (error) {
      if (abandoned()) return undefined;
      const failure = failureOf(error);
      log.warn(`cannot ${operation} a task`, { task: this.#assignment.taskName, taskId: this.taskId, reason: failure.reason });
      return { kind: `${operation}-failed`, failure };
    }
  }

  async #call(operation: Operation, again: boolean, signal: AbortSignal): Promise<TaskEvent> {
    const { runtime } = this.#deps;
    switch (operation) {
      case 'prepare':
        return { kind: 'prepared', instance: await this.#prepare(signal) };
      case 'start': {
        // The start that failed may have happened; a container that ran and ended must not run twice.
        const stands = again ? await runtime.inspect(this.taskId, signal) : undefined;
        if (again && stands === undefined) return { kind: 'vanished' };
        return {
          kind: 'started',
          instance: stands === undefined || stands.state === 'created' ? await runtime.start(this.taskId, signal) : stands,
        };
      }
      case 'stop':
        return { kind: 'stopped', exit: await runtime.stop(this.taskId, signal) };
      case 'remove':
        await runtime.remove(this.taskId, signal);
        return { kind: 'removed' };
    }
  }

  async #prepare(signal: AbortSignal): Promise<Instance> {
    this.dispatch({ kind: 'prepare-began' });
    const { ports, runtime, node } = this.#deps;
    this.#ports = await ports.lease(this.taskId, this.#assignment.ports, signal);
    const context: TaskContext = { assignment: this.#assignment, ...node, ports: this.#ports };
    const instance = await runtime.prepare(context, signal);
    if (instance.ports.length > 0 && instance.ports !== this.#ports) this.#takePorts(instance.ports);
    return instance;
  }

  /** A container that stood already has the ports of its own making. */
  #takePorts(ports: readonly LeasedPort[]): void {
    this.#ports = ports;
    this.#deps.ports.adopt(this.taskId, ports);
  }

  #attach(): void {
    this.#attached?.abort(ABANDONED);
    const controller = new AbortController();
    this.#attached = controller;
    const { signal } = controller;
    const { runtime, log } = this.#deps;
    runtime.watchHealth(
      this.taskId,
      (health, detail) => {
        if (!signal.aborted) this.dispatch({ kind: 'health', health, detail });
      },
      signal,
    );
    this.#await(signal).catch((error: unknown) => {
      if (!signal.aborted) log.error('a task is no longer watched', { taskId: this.taskId, error });
    });
  }

  async #await(signal: AbortSignal): Promise<void> {
    const { runtime, clock, rng } = this.#deps;
    const retry = backoff(RETRY, rng);
    for (;;) {
      try {
        const exit = await runtime.wait(this.taskId, signal);
        if (!signal.aborted) this.dispatch({ kind: 'exited', exit });
        return;
      } catch (error) {
        if (signal.aborted) return;
        const failure = failureOf(error);
        if (failure.missing) {
          this.dispatch({ kind: 'vanished' });
          return;
        }
        this.#deps.log.warn('cannot watch a task now; trying again', { taskId: this.taskId, reason: failure.reason });
        await sleep(clock, retry.nextMs(), signal);
      }
    }
  }
}

/** What the managers want, of an assignment that stands. */
export function desiredOf(assignment: Assignment): Desired {
  switch (assignment.desired) {
    case TaskState.REMOVE:
      return 'remove';
    case TaskState.RUNNING:
    case TaskState.COMPLETE:
      return 'running';
    default:
      return assignment.desired <= TaskState.READY ? 'ready' : 'shutdown';
  }
}

function hasStartUp(assignment: Assignment): boolean {
  return assignment.spec?.probes?.startup !== undefined;
}

function failureOf(error: unknown): Failure {
  const known = ShoalError.from(error);
  return { retryable: known.retryable, missing: known.code === 'not_found', reason: known.message };
}
