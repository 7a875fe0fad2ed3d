// All tasks of this node: one runner each, kept in step with the assignments. At the start it finds what stands on the host and adopts it before
// anything else; what nobody assigned stays untouched until a manager has sent all assignments.
import { Assignment, TaskState, TaskStatus } from '../../proto/index.ts';
import { backoff } from '../../lib/backoff.ts';
import { type Clock, sleep } from '../../lib/clock.ts';
import type { Disk } from '../../lib/durable-file.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { ProbeTargets } from '../endpoints/endpoints.ts';
import type { AskerOf } from '../health/ask.ts';
import type { PortLeases } from '../ports/port-leases.ts';
import type { Instance, Runtime } from '../runtime/runtime.ts';
import { openJournal } from './journal.ts';
import { limiter } from './limiter.ts';
import { beyondRetention, type RetentionLimits } from './retention.ts';
import { isFinal } from './task-machine.ts';
import { desiredOf, type RunnerDeps, TaskRunner } from './task-runner.ts';

export interface WorkerOptions {
  readonly runtime: Runtime;
  readonly ports: PortLeases;
  readonly probe: ProbeTargets;
  readonly askerOf: AskerOf;
  readonly dataDir: string;
  /** The host's unless given. */
  readonly disk?: Disk;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly node: RunnerDeps['node'];
  /** Finished containers to keep; the defaults unless given. */
  readonly retention?: RetentionLimits;
  /** A status worth reporting. */
  readonly onStatus: (status: TaskStatus) => void;
  /** The task is not ours any more: nothing of it is reported. */
  readonly onForgotten: (taskId: string) => void;
  /** `statuses` holds every task from now on. */
  readonly onAdopted: () => void;
}

export interface Worker {
  /** Finds and adopts what stands on the host; tried again until the engine answers. */
  start(): void;
  /** What this node shall have; `complete` once a manager has said all of it. */
  apply(tasks: ReadonlyMap<string, Assignment>, complete: boolean): void;
  /** Of every task that is assigned. Before adoption: as recorded, with the reason why the engine does not say more. */
  statuses(): readonly TaskStatus[];
  adopted(): boolean;
  /** The task runs here, or ran and its container is kept. */
  has(taskId: string): boolean;
  taskCount(): number;
  /**
   * Removes finished containers beyond their number, and what stands on the host without a task: left by a call that the engine carried out after it
   * was given up. Such a one goes when it was there the last time already. Rejects where the engine does not list.
   */
  tidy(signal: AbortSignal): Promise<void>;
  /** How many containers `tidy` and the bounds on finished ones have removed. */
  reclaimed(): number;
  /** Lets go of all tasks; they go on. */
  stop(): Promise<void>;
  /** Stops and removes all tasks of this node; resolves to whether nothing is left, at the latest when their grace periods are over. */
  drain(): Promise<boolean>;
}

/** The engine of a small host does not get faster with more, and a big one is kept busy by these (measured: docs/benchmarks.md). */
const ENGINE = { inFlight: 8, patienceMs: 2000 };
const STOPS = { inFlight: 32, patienceMs: 500 };
/** Probes under way at once: hundreds of tasks are asked within a second, and as many that hang cost no more than this many sockets. */
const PROBES = { inFlight: 64 };
/** Docker's default. */
const DEFAULT_GRACE_MS = 10_000;
/** A drain of the whole node does not wait longer than this for a single task. */
const MAX_GRACE_MS = 120_000;
/** For the engine to kill and remove what is left. */
const DRAIN_MARGIN_MS = 5000;
/** In the engine's queue. */
const LAST = 9;
const LIST_RETRY = { baseMs: 250, capMs: 5000 };

export function createWorker(options: WorkerOptions): Worker {
  const { runtime, clock, rng, log } = options;
  const runners = new Map<string, TaskRunner>();
  /** Found on the host, not assigned by anything known so far. */
  const strays = new Map<string, Instance>();
  const stopping = new AbortController();
  let state: 'finding' | 'adopted' | 'draining' | 'stopped' = 'finding';
  let engineTrouble: string | undefined;
  let wanted: ReadonlyMap<string, Assignment> = new Map();
  let complete = false;
  let emptied: (() => void) | undefined;
  let reclaimedCount = 0;
  let leftOver: ReadonlySet<string> = new Set();

  const journal = openJournal(options.dataDir, () => statuses(), clock, log, options.disk);
  const isOurs = (runner: TaskRunner): boolean => runner.machine.desired !== 'absent' && runners.get(runner.taskId) === runner;
  const deps: RunnerDeps = {
    ...options,
    engine: limiter(ENGINE, clock),
    stops: limiter(STOPS, clock),
    health: { clock, rng, limiter: limiter(PROBES, clock), askerOf: options.askerOf },
    changed(runner) {
      if (state === 'stopped') return;
      journal.changed();
      if (isOurs(runner)) options.onStatus(runner.status());
      if (runner.machine.phase === 'finished') reclaim();
      if (runner.machine.phase === 'removed' && isEmpty()) emptied?.();
    },
    gone(runner) {
      runners.delete(runner.taskId);
      journal.changed();
      // Assigned again while the former one was being removed.
      const assignment = wanted.get(runner.taskId);
      if (assignment !== undefined && state === 'adopted') take(assignment);
      if (isEmpty()) emptied?.();
    },
  };

  const isEmpty = (): boolean => [...runners.values()].every((runner) => runner.machine.phase === 'removed');
  const add = (runner: TaskRunner): void => {
    // A task that was finished from the start is gone before it gets here.
    if (runner.machine.phase === 'gone') return;
    runners.set(runner.taskId, runner);
    journal.changed();
    if (isOurs(runner)) options.onStatus(runner.status());
  };
  const take = (assignment: Assignment): void => {
    const stray = strays.get(assignment.taskId);
    strays.delete(assignment.taskId);
    const recorded = journal.recorded.get(assignment.taskId);
    if (stray === undefined && recorded === undefined) add(TaskRunner.accept(deps, assignment));
    else add(TaskRunner.adopt(deps, assignment, desiredOf(assignment), stray, recorded));
  };
  const discardStray = (instance: Instance): void => {
    strays.delete(instance.taskId);
    log.info('removing a task that is not assigned to this node', { taskId: instance.taskId, state: instance.state });
    add(TaskRunner.adopt(deps, Assignment.create({ taskId: instance.taskId }), 'absent', instance, undefined));
  };
  const reconcile = (): void => {
    for (const runner of [...runners.values()]) {
      if (wanted.has(runner.taskId) || runner.machine.desired === 'absent') continue;
      options.onForgotten(runner.taskId);
      runner.dispatch({ kind: 'desired', desired: 'absent' });
    }
    for (const assignment of wanted.values()) {
      const runner = runners.get(assignment.taskId);
      if (runner === undefined) take(assignment);
      else if (runner.assignment !== assignment) runner.assign(assignment);
    }
    if (complete) for (const instance of [...strays.values()]) discardStray(instance);
  };
  const reclaim = (): void => {
    const finished = [...runners.values()].filter((runner) => runner.machine.phase === 'finished');
    const containers = finished.map((runner) => {
      const { serviceId, slot } = runner.assignment;
      return { taskId: runner.taskId, slot: `${serviceId}/${String(slot)}`, sinceUnixMs: runner.status().sinceUnixMs };
    });
    for (const taskId of beyondRetention(containers, options.retention)) {
      reclaimedCount++;
      runners.get(taskId)?.dispatch({ kind: 'reclaim' });
    }
  };
  /** Nobody is at work on it, and nobody will be. */
  const isLeftOver = (instance: Instance): boolean => {
    if (state !== 'adopted' || strays.has(instance.taskId)) return false;
    const runner = runners.get(instance.taskId);
    return runner === undefined ? complete && !wanted.has(instance.taskId) : runner.machine.phase === 'removed';
  };
  const tidy = async (signal: AbortSignal): Promise<void> => {
    if (state !== 'adopted') return;
    reclaim();
    const found = (await runtime.list(signal)).filter(isLeftOver);
    const again = found.filter(({ taskId }) => leftOver.has(taskId));
    leftOver = new Set(found.map(({ taskId }) => taskId));
    for (const instance of again.filter(isLeftOver)) {
      reclaimedCount++;
      if (runners.has(instance.taskId)) await deps.engine.run(LAST, signal, () => runtime.remove(instance.taskId, signal));
      else discardStray(instance);
    }
  };
  const statuses = (): readonly TaskStatus[] => {
    if (state === 'finding') return recordedStatuses();
    return [...runners.values()].filter(isOurs).map((runner) => runner.status());
  };
  /** A task without a record was only just accepted; one that were left out would count as lost. */
  const recordedStatuses = (): readonly TaskStatus[] =>
    [...wanted.keys()].map((taskId) => {
      const recorded =
        journal.recorded.get(taskId) ?? TaskStatus.create({ taskId, nodeId: options.node.nodeId, state: TaskState.ACCEPTED });
      return isFinal(recorded.state) ? recorded : { ...recorded, message: engineTrouble ?? recorded.message };
    });

  const find = async (): Promise<void> => {
    const retry = backoff(LIST_RETRY, rng);
    for (;;) {
      try {
        const found = await runtime.list(stopping.signal);
        if (stopping.signal.aborted) return;
        for (const instance of found) strays.set(instance.taskId, instance);
        break;
      } catch (error) {
        if (stopping.signal.aborted) return;
        engineTrouble = `the engine does not say what runs: ${messageOf(error)}; trying again`;
        log.warn('cannot list the tasks on this host; nothing is started or stopped until that works', { error: messageOf(error) });
        await sleep(clock, retry.nextMs(), stopping.signal);
      }
    }
    state = 'adopted';
    engineTrouble = undefined;
    options.ports.retain(new Set([...strays.keys(), ...wanted.keys()]));
    log.info('found the tasks on this host', { count: strays.size });
    reconcile();
    options.onAdopted();
  };

  return {
    start() {
      find().catch((error: unknown) => {
        if (!stopping.signal.aborted) log.error('the worker ended', { error });
      });
    },
    apply(tasks, all) {
      wanted = tasks;
      complete ||= all;
      if (state === 'adopted') reconcile();
    },
    statuses,
    adopted: () => state === 'adopted',
    has: (taskId) => {
      const phase = runners.get(taskId)?.machine.phase;
      return phase !== undefined && phase !== 'removed' && phase !== 'gone';
    },
    taskCount: () => runners.size,
    tidy,
    reclaimed: () => reclaimedCount,
    async stop() {
      state = 'stopped';
      stopping.abort(new ShoalError('cancelled', 'the agent stops'));
      for (const runner of runners.values()) runner.detach();
      await journal.close();
    },
    async drain() {
      if (state !== 'adopted') return false;
      state = 'draining';
      for (const instance of [...strays.values()]) discardStray(instance);
      const graceMs = Math.max(...[...runners.values()].map((runner) => graceOf(runner.assignment)), 0);
      // Their end stays recorded: a later agent on this folder reports it and starts none of them again.
      for (const runner of [...runners.values()]) runner.dispatch({ kind: 'desired', desired: 'remove' });
      const cut = new AbortController();
      const empty = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      const overMs = Math.min(graceMs, MAX_GRACE_MS) + DRAIN_MARGIN_MS;
      if (!isEmpty()) await Promise.race([empty, sleep(clock, overMs, cut.signal).catch(() => undefined)]);
      cut.abort();
      return isEmpty();
    },
  };
}

function graceOf(assignment: Assignment): number {
  return assignment.spec?.container?.stopGracePeriodMs ?? DEFAULT_GRACE_MS;
}
