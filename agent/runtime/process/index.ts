// Tasks as plain processes of the host, for machines without a container engine. All that is known of a task stands in DIRECTORY/<task id>/, so
// that a restarted agent, also after kill -9, finds its tasks and their exit codes again.
import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { availableParallelism, homedir, release, totalmem, type as osType, userInfo } from 'node:os';
import { anySignal } from '../../../lib/any-signal.ts';
import { type Clock, sleep } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import { type Logger } from '../../../lib/log.ts';
import { type ProcessId } from '../../../lib/process-id.ts';
import { EngineDescription, Resources } from '../../../proto/index.ts';
import { type CleanUp, type Exit, type Health, type Instance, type Runtime } from '../runtime.ts';
import { watchFolder } from './changes.ts';
import { findCommand } from './commands.ts';
import { startExec } from './exec.ts';
import { healthRules } from './health-check.ts';
import { followHealth } from './health-watch.ts';
import { keepOutput, outputLines } from './output-files.ts';
import { startSupervisor } from './supervisor.ts';
import { isRunning, taskFolder, type TaskFolder, taskIds, type TaskRecord } from './task-folder.ts';
import { type HostFacts, planProcess } from './task-plan.ts';

export interface ProcessRuntimeOptions {
  /** Holds one folder per task; made where it is missing. */
  readonly directory: string;
  /** What tasks get as $HOST: the address on which the other nodes reach this one. */
  readonly dataAddress: string;
  /** A function where the id is not known yet when the runtime is made. */
  readonly nodeId: string | (() => string);
  readonly clusterId: string | (() => string);
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often files are looked at in case a notification was lost. */
const LOOK_PERIOD_MS = 1500;
/** Between two looks at output that comes all the time: as exact as the times of lines are. */
const KEEP_PAUSE_MS = 100;
/** A supervisor that has the task needs so long at most to run it, and a killed process to be gone. */
const SETTLE_DEADLINE_MS = 10_000;

export function createProcessRuntime(options: ProcessRuntimeOptions): Runtime {
  const { clock, directory, log } = options;
  const folderOf = (taskId: string): TaskFolder => taskFolder(directory, taskId);

  const need = async (taskId: string): Promise<TaskRecord> => {
    const record = await folderOf(taskId).record();
    if (record === undefined) throw new ShoalError('not_found', `task ${taskId} has no folder in ${directory}`);
    return record;
  };
  const inspect = async (taskId: string): Promise<Instance | undefined> => {
    const folder = folderOf(taskId);
    const record = await folder.record();
    if (record === undefined) return undefined;
    const state = await folder.state();
    return {
      taskId,
      containerId: String(await folder.supervisorPid()),
      state: state.state === 'starting' ? 'created' : state.state,
      pid: state.state === 'running' ? state.process.pid : 0,
      address: undefined,
      ports: record.ports,
      exit: state.state === 'exited' ? state.exit : undefined,
    };
  };
  /** Waits until `done` answers something; undefined after the deadline. */
  const settle = async <T>(
    folder: TaskFolder,
    done: () => Promise<T | undefined>,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<T | undefined> => {
    const endMs = clock.nowMs() + deadlineMs;
    const changes = watchFolder([folder.path], clock, signal);
    try {
      for (;;) {
        const result = await done();
        if (result !== undefined) return result;
        if (signal.aborted) throw new ShoalError('cancelled', 'cancelled', { cause: signal.reason });
        const leftMs = endMs - clock.nowMs();
        if (leftMs <= 0) return undefined;
        await changes.next(Math.min(LOOK_PERIOD_MS, leftMs));
      }
    } finally {
      changes.close();
    }
  };
  const exitOf = async (folder: TaskFolder): Promise<Exit | undefined> => {
    if ((await folder.record()) === undefined) throw new ShoalError('not_found', `somebody removed ${folder.path}`);
    const state = await folder.state();
    return state.state === 'exited' ? state.exit : undefined;
  };
  /** Signals the task's process group where it still runs; the start time keeps a recycled pid safe. */
  const signalGroup = async (task: ProcessId, name: NodeJS.Signals): Promise<void> => {
    if (!(await isRunning(task))) return;
    try {
      process.kill(-task.pid, name);
    } catch {
      try {
        // Not the leader of a group yet.
        process.kill(task.pid, name);
      } catch {
        // It has just ended.
      }
    }
  };
  const end = async (folder: TaskFolder, record: TaskRecord, graceMs: number, signal: AbortSignal): Promise<Exit> => {
    const state = await settle(
      folder,
      async () => {
        const present = await folder.state();
        return present.state === 'starting' ? undefined : present;
      },
      SETTLE_DEADLINE_MS,
      signal,
    );
    if (state?.state === 'created') return { exitCode: 0, reason: 'it was never started' };
    if (state?.state === 'exited') return state.exit;
    if (state !== undefined) {
      const ended = (deadlineMs: number): Promise<Exit | undefined> => settle(folder, () => exitOf(folder), deadlineMs, signal);
      if (graceMs > 0) await signalGroup(state.process, record.stopSignal);
      let exit = graceMs > 0 ? await ended(graceMs) : undefined;
      if (exit !== undefined) return exit;
      await signalGroup(state.process, 'SIGKILL');
      exit = await ended(SETTLE_DEADLINE_MS);
      if (exit !== undefined) return exit;
    }
    throw new ShoalError('unavailable', `task ${record.taskId} does not end, not even after SIGKILL`);
  };

  /** Looks after the output of a task, and once more at the end. */
  const keepUntil = async (folder: TaskFolder, taskId: string, signal: AbortSignal): Promise<void> => {
    const changes = watchFolder([folder.output], clock, signal);
    try {
      for (;;) {
        const isLast = signal.aborted;
        await keepOutput(folder.output);
        if (isLast) return;
        await changes.next(LOOK_PERIOD_MS);
        await sleep(clock, KEEP_PAUSE_MS, signal).catch(() => undefined);
      }
    } catch (error) {
      log.warn('output of a task cannot be looked after', { task: taskId, why: messageOf(error) });
    } finally {
      changes.close();
    }
  };

  /** Seen by the last clean-up: nobody is at work on these any more. */
  let ended: ReadonlySet<string> = new Set();
  /** The same for folders without a record: a kill of the agent left them of a task that was being prepared or removed. */
  let unrecorded: ReadonlySet<string> = new Set();
  const cleanFolders = async (): Promise<CleanUp> => {
    const seen = { ended: new Set<string>(), unrecorded: new Set<string>() };
    const removed: string[] = [];
    for (const taskId of await taskIds(directory)) {
      const folder = folderOf(taskId);
      if ((await folder.record()) === undefined) {
        seen.unrecorded.add(taskId);
        if (!unrecorded.has(taskId)) continue;
        await folder.remove();
        removed.push(folder.path);
      } else if ((await folder.state()).state === 'exited') {
        seen.ended.add(taskId);
        if (ended.has(taskId)) await keepOutput(folder.output);
      }
    }
    ({ ended, unrecorded } = seen);
    return { removed, freedBytes: 0, unusedBytes: 0 };
  };

  return {
    name: 'process',
    check: () => Promise.resolve(whyNot(directory)),

    describe: () =>
      Promise.resolve({
        engine: EngineDescription.create({ runtime: 'process', version: `${osType()} ${release()}` }),
        resources: Resources.create({ nanoCpus: availableParallelism() * 1e9, memoryBytes: totalmem() }),
      }),

    async prepare(task, _signal) {
      const { taskId, taskName } = task.assignment;
      const plan = planProcess({ ...task, dataAddress: task.dataAddress || options.dataAddress }, hostFacts());
      const folder = folderOf(taskId);
      const workdir = plan.workdir === '' ? folder.work : plan.workdir;
      const [command = ''] = plan.argv;
      if (plan.workdir !== '' && !isFolder(workdir)) {
        throw new ShoalError('failed_precondition', `the working directory ${workdir} does not exist on this node`);
      }
      if (findCommand(command, plan.env['PATH'] ?? '', workdir) === undefined) {
        const where = command.includes('/') ? '' : ` on the PATH ${plan.env['PATH'] ?? ''}`;
        throw new ShoalError('failed_precondition', `there is no program ${command} to execute${where}`);
      }
      await folder.create({
        taskId,
        clusterId: task.clusterId,
        nodeId: task.nodeId,
        taskName,
        argv: plan.argv,
        env: plan.env,
        workdir,
        ports: task.ports,
        stopSignal: plan.stopSignal,
        stopGraceMs: plan.stopGraceMs,
        healthCheck: task.assignment.spec?.container?.healthCheck,
      });
      return (await inspect(taskId)) ?? lost(taskId);
    },

    async start(taskId, signal) {
      const record = await need(taskId);
      const folder = folderOf(taskId);
      if ((await folder.state()).state === 'created') {
        const { argv, env, workdir } = record;
        await startSupervisor({ folder: folder.path, argv, env, workdir }, clock, signal);
      }
      const started = await settle(
        folder,
        async () => {
          const instance = await inspect(taskId);
          return instance?.state === 'created' ? undefined : instance;
        },
        SETTLE_DEADLINE_MS,
        signal,
      );
      if (started === undefined) throw new ShoalError('unavailable', `the supervisor of task ${taskId} does not start it`);
      return started;
    },

    async wait(taskId, signal) {
      await need(taskId);
      const folder = folderOf(taskId);
      const keeping = new AbortController();
      const kept = keepUntil(folder, taskId, anySignal([signal, keeping.signal]));
      try {
        return (await settle(folder, () => exitOf(folder), Infinity, signal)) ?? lost(taskId);
      } finally {
        keeping.abort();
        await kept;
      }
    },

    watchHealth(taskId, onChange: (health: Health, detail: string) => void, signal) {
      const folder = folderOf(taskId);
      void (async () => {
        const record = await need(taskId);
        const rules = healthRules(record.healthCheck);
        if (rules === undefined) onChange('none', '');
        else await followHealth({ folder, record, rules, clock }, onChange, signal);
      })().catch((error: unknown) => {
        if (!signal.aborted) log.warn('health of a task cannot be watched', { task: taskId, why: messageOf(error) });
      });
    },

    async stop(taskId, signal) {
      const record = await need(taskId);
      return await end(folderOf(taskId), record, record.stopGraceMs, signal);
    },

    async remove(taskId, signal) {
      const folder = folderOf(taskId);
      const record = await folder.record();
      if (record !== undefined) await end(folder, record, 0, signal);
      await folder.remove();
    },

    async list() {
      const clusterId = valueOf(options.clusterId);
      const nodeId = valueOf(options.nodeId);
      const instances: Instance[] = [];
      for (const taskId of await taskIds(directory)) {
        const record = await folderOf(taskId).record();
        if (record?.clusterId !== clusterId || record.nodeId !== nodeId) continue;
        const instance = await inspect(taskId);
        if (instance !== undefined) instances.push(instance);
      }
      return instances;
    },

    async listOthers() {
      const records = await Promise.all((await taskIds(directory)).map((taskId) => folderOf(taskId).record()));
      return records.flatMap((record) => {
        const isOther = record?.clusterId === valueOf(options.clusterId) && record.nodeId !== valueOf(options.nodeId);
        return isOther ? [{ nodeId: record.nodeId, taskId: record.taskId }] : [];
      });
    },

    inspect: (taskId) => inspect(taskId),

    async *logs(request, signal) {
      await need(request.taskId);
      const folder = folderOf(request.taskId);
      // Output in one folder, the exit in the other.
      const changes = watchFolder([folder.output, folder.path], clock, signal);
      const following = async (): Promise<boolean> => !signal.aborted && (await folder.state()).state !== 'exited';
      try {
        yield* outputLines(folder.output, request, following, () => changes.next(LOOK_PERIOD_MS));
      } finally {
        changes.close();
      }
    },

    async exec(taskId, execOptions, signal) {
      const record = await need(taskId);
      if ((await folderOf(taskId).state()).state !== 'running')
        throw new ShoalError('failed_precondition', `task ${taskId} is not running`);
      return startExec(record, execOptions, signal);
    },

    cleanUp: () => cleanFolders(),
  };
}

function lost(taskId: string): never {
  throw new ShoalError('not_found', `the folder of task ${taskId} was removed`);
}

function hostFacts(): HostFacts {
  const { username, uid } = userInfo();
  return { path: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', home: homedir(), userName: username, userId: uid };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Why no process can be run here. */
function whyNot(directory: string): string | undefined {
  if (process.platform === 'win32') return 'plain processes need a POSIX system';
  try {
    accessSync('/bin/sh', constants.X_OK);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK);
    return undefined;
  } catch (error) {
    return `plain processes cannot run: ${messageOf(error)}`;
  }
}

function valueOf(value: string | (() => string)): string {
  return typeof value === 'string' ? value : value();
}
