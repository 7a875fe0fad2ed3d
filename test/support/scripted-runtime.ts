// A runtime whose tasks do what the test says: exit, get unhealthy, vanish; calls can be held back or made to fail. Counts starts per task.
import { PassThrough } from 'node:stream';
import type {
  ExecOptions,
  ExecSession,
  Exit,
  Health,
  Instance,
  LogLine,
  OtherInstance,
  Runtime,
  TaskContext,
} from '../../agent/runtime/runtime.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { EngineDescription, type LogsRequest } from '../../proto/index.ts';

export type RuntimeCall = 'check' | 'prepare' | 'start' | 'wait' | 'stop' | 'remove' | 'list' | 'inspect' | 'describe';

export interface ScriptedRuntime extends Runtime {
  /** "prepare t1", in order. */
  readonly calls: readonly string[];
  starts(taskId: string): number;
  instance(taskId: string): Instance | undefined;
  /** Puts an instance there, as left by an earlier agent. */
  place(instance: Partial<Instance> & { readonly taskId: string }): void;
  exit(taskId: string, exit?: Partial<Exit>): void;
  setHealth(taskId: string, health: Health, detail?: string): void;
  /** Instances of other nodes on the same engine; stop and remove reach them as `place` put them. */
  others: readonly OtherInstance[];
  /** Somebody else removed it. */
  vanish(taskId: string): void;
  /** Calls of this kind fail so from now on; undefined: no longer. */
  fail(call: RuntimeCall, error: ShoalError | undefined): void;
  /** Calls of this kind wait until the returned function is called (or their signal aborts). */
  hold(call: RuntimeCall): () => void;
  /** Calls that run now. */
  inFlight(call: RuntimeCall): number;
  /** A stop takes until `exit` is called. */
  stubborn: boolean;
  logLines: readonly LogLine[];
  execs: {
    readonly options: ExecOptions;
    readonly stdin: PassThrough;
    readonly stdout: PassThrough;
    readonly stderr: PassThrough;
    end(code: number): void;
    readonly sizes: string[];
    killed: boolean;
  }[];
}

interface Entry {
  instance: Instance;
  health: Health;
  detail: string;
  readonly waiters: Set<(exit: Exit | undefined) => void>;
  readonly watchers: Set<(health: Health, detail: string) => void>;
}

export function scriptedRuntime(): ScriptedRuntime {
  const entries = new Map<string, Entry>();
  const calls: string[] = [];
  const failures = new Map<RuntimeCall, ShoalError>();
  const gates = new Map<RuntimeCall, Promise<void>>();
  const running = new Map<RuntimeCall, number>();
  let nextPid = 100;

  const enter = async <T>(call: RuntimeCall, taskId: string, signal: AbortSignal, work: () => T | Promise<T>): Promise<T> => {
    calls.push(taskId === '' ? call : `${call} ${taskId}`);
    running.set(call, (running.get(call) ?? 0) + 1);
    try {
      await Promise.resolve();
      const gate = gates.get(call);
      if (gate !== undefined) await Promise.race([gate, abort(signal)]);
      if (signal.aborted) throw new ShoalError('cancelled', 'cancelled');
      const failure = failures.get(call);
      if (failure !== undefined) throw failure;
      return await work();
    } finally {
      running.set(call, (running.get(call) ?? 1) - 1);
    }
  };
  const need = (taskId: string): Entry => {
    const entry = entries.get(taskId);
    if (entry === undefined) throw new ShoalError('not_found', `no container of task ${taskId}`);
    return entry;
  };
  const put = (instance: Instance): Entry => {
    const entry: Entry = { instance, health: 'none', detail: '', waiters: new Set(), watchers: new Set() };
    entries.set(instance.taskId, entry);
    return entry;
  };
  const waitFor = (entry: Entry, signal: AbortSignal): Promise<Exit> => {
    if (entry.instance.exit !== undefined) return Promise.resolve(entry.instance.exit);
    return new Promise((resolve, reject) => {
      const settle = (exit: Exit | undefined): void => {
        entry.waiters.delete(settle);
        if (exit === undefined) reject(new ShoalError('not_found', 'gone'));
        else resolve(exit);
      };
      entry.waiters.add(settle);
      signal.addEventListener('abort', () => {
        if (entry.waiters.delete(settle)) reject(new ShoalError('cancelled', 'cancelled'));
      });
    });
  };
  const exit = (taskId: string, how: Partial<Exit> = {}): void => {
    const entry = need(taskId);
    if (entry.instance.state === 'exited') return;
    const ended: Exit = { exitCode: 0, reason: '', ...how };
    entry.instance = { ...entry.instance, state: 'exited', pid: 0, address: undefined, exit: ended };
    for (const settle of [...entry.waiters]) settle(ended);
  };

  const isOther = (taskId: string): boolean => runtime.others.some((other) => other.taskId === taskId);
  const runtime: ScriptedRuntime = {
    name: 'docker',
    calls,
    stubborn: false,
    others: [],
    logLines: [],
    execs: [],
    starts: (taskId) => calls.filter((call) => call === `start ${taskId}`).length,
    instance: (taskId) => entries.get(taskId)?.instance,
    place(instance) {
      const exited: Exit | undefined = instance.state === 'exited' ? { exitCode: 0, reason: '' } : undefined;
      const base = {
        containerId: `c-${instance.taskId}`,
        state: 'running' as const,
        pid: nextPid++,
        address: undefined,
        ports: [],
        exit: exited,
      };
      put({ ...base, ...instance });
    },
    exit,
    setHealth(taskId, health, detail = '') {
      const entry = need(taskId);
      entry.health = health;
      entry.detail = detail;
      for (const watcher of entry.watchers) watcher(health, detail);
    },
    vanish(taskId) {
      const entry = need(taskId);
      entries.delete(taskId);
      for (const settle of [...entry.waiters]) settle(undefined);
    },
    fail(call, error) {
      if (error === undefined) failures.delete(call);
      else failures.set(call, error);
    },
    hold(call) {
      let open: () => void = () => undefined;
      gates.set(
        call,
        new Promise<void>((resolve) => {
          open = resolve;
        }),
      );
      return () => {
        gates.delete(call);
        open();
      };
    },
    inFlight: (call) => running.get(call) ?? 0,

    check: (signal) => enter('check', '', signal, () => undefined).catch((error: unknown) => messageOf(error)),
    describe: (signal) =>
      enter('describe', '', signal, () => ({
        engine: EngineDescription.create({ runtime: 'docker', version: '1.0' }),
        resources: { nanoCpus: 2e9, memoryBytes: 4e9, pids: 0 },
      })),
    prepare: (task: TaskContext, signal) =>
      enter('prepare', task.assignment.taskId, signal, () => {
        const { taskId } = task.assignment;
        const entry =
          entries.get(taskId) ??
          put({ taskId, containerId: `c-${taskId}`, state: 'created', pid: 0, address: undefined, ports: task.ports, exit: undefined });
        if (task.assignment.spec?.container?.healthCheck !== undefined) entry.health = 'starting';
        return entry.instance;
      }),
    start: (taskId, signal) =>
      enter('start', taskId, signal, () => {
        const entry = need(taskId);
        if (entry.instance.state === 'created') entry.instance = { ...entry.instance, state: 'running', pid: nextPid++ };
        else if (entry.instance.state === 'exited') throw new ShoalError('internal', `task ${taskId} was started a second time`);
        return entry.instance;
      }),
    wait: (taskId, signal) => enter('wait', taskId, signal, () => waitFor(need(taskId), signal)),
    watchHealth(taskId, onChange, signal) {
      const entry = entries.get(taskId);
      if (entry === undefined) return;
      entry.watchers.add(onChange);
      signal.addEventListener('abort', () => entry.watchers.delete(onChange));
      queueMicrotask(() => {
        if (!signal.aborted) onChange(entry.health, entry.detail);
      });
    },
    stop: (taskId, signal) =>
      enter('stop', taskId, signal, () => {
        const entry = need(taskId);
        if (entry.instance.state === 'created') return { exitCode: 0, reason: 'it never ran' };
        if (!runtime.stubborn) exit(taskId, { exitCode: 143 });
        return waitFor(entry, signal);
      }),
    remove: (taskId, signal) =>
      enter('remove', taskId, signal, () => {
        entries.delete(taskId);
      }),
    list: (signal) =>
      enter('list', '', signal, () => [...entries.values()].map(({ instance }) => instance).filter(({ taskId }) => !isOther(taskId))),
    listOthers: () => Promise.resolve(runtime.others.filter(({ taskId }) => entries.has(taskId))),
    inspect: (taskId, signal) => enter('inspect', taskId, signal, () => entries.get(taskId)?.instance),
    async *logs(request: LogsRequest, signal) {
      need(request.taskId);
      for (const line of runtime.logLines) yield await Promise.resolve(line);
      if (request.follow) await abort(signal).catch(() => undefined);
    },
    exec: (taskId, options, signal) => {
      need(taskId);
      let end: (code: number) => void = () => undefined;
      const ended = new Promise<number>((resolve) => {
        end = resolve;
      });
      const entry: ScriptedRuntime['execs'][number] = {
        options,
        stdin: new PassThrough(),
        stdout: new PassThrough(),
        stderr: new PassThrough(),
        sizes: [],
        killed: false,
        end(code) {
          entry.stdout.end();
          entry.stderr.end();
          end(code);
        },
      };
      runtime.execs.push(entry);
      const session: ExecSession = {
        stdin: entry.stdin,
        stdout: entry.stdout,
        stderr: entry.stderr,
        ended,
        resize: (rows, columns) => {
          entry.sizes.push(`${rows}x${columns}`);
          return Promise.resolve();
        },
        kill: () => {
          entry.killed = true;
          entry.end(137);
        },
      };
      return signal.aborted ? Promise.reject(new ShoalError('cancelled', 'cancelled')) : Promise.resolve(session);
    },
  };
  return runtime;
}

function abort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new ShoalError('cancelled', 'cancelled'));
    });
  });
}
