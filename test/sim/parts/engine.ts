// The container engine of one simulated host. Containers are the host's: they outlive agents, and end with the host. What an image does is in its name, so
// that a test of a service's life reads like one: "sim/web", "sim/crash", "sim/oom", "sim/nopull", "sim/slow"; those
// that come to an end are "sim/job", "sim/job-flaky", "sim/job-crash", "sim/job-long".
import { type ErrorCode, ShoalError } from '../../../lib/errors.ts';
import type { Rng } from '../../../lib/rng.ts';
import { EngineDescription } from '../../../proto/index.ts';
import type { Exit, Health, Instance, LeasedPort, Runtime, TaskContext } from '../../../agent/runtime/runtime.ts';
import { never, type SimProcess } from '../core/process.ts';
import { between, chance, delayMs } from '../core/random.ts';
import type { Scheduled, Scheduler } from '../core/scheduler.ts';

export interface Container {
  readonly taskId: string;
  readonly serviceId: string;
  readonly slot: string;
  readonly specNumber: number;
  readonly image: string;
  readonly host: string;
  readonly nodeId: string;
  readonly address: string;
  readonly ports: readonly LeasedPort[];
  /** Container ports that answer once it runs. */
  readonly targets: readonly number[];
  state: 'created' | 'running' | 'exited';
  starts: number;
  startedAtMs: number;
  endedAtMs: number;
  exit: Exit | undefined;
  /** It was told to stop. */
  stopping: boolean;
  health: Health;
  probes: 'answered' | 'failed';
  /** Its health check, or a probe that ends tasks, failed once: its agent may end it by itself, also a while later. */
  wasSick: boolean;
}

/** What the world hears of an engine, at the moment it happens. */
export interface EngineEvents {
  created(container: Container): void;
  started(container: Container): void;
  /** An agent asks for its end. */
  stopAsked(container: Container, by: SimProcess): void;
  ended(container: Container, why: string): void;
  removed(container: Container): void;
}

export interface SimEngine {
  readonly containers: ReadonlyMap<string, Container>;
  /** Pulls from no registry succeed. */
  pullsFail: boolean;
  /** Chance that a call fails after, or before, it has had its effect. */
  failing: number;
  /** Multiplies every delay. */
  slowness: number;
  /** Calls get no answer for as long as this is set. */
  hangs: boolean;
  /** As an agent sees it. */
  of(agent: SimProcess): Runtime;
  /** Somebody ends a container behind everybody's back. */
  kill(taskId: string, exit: Exit): void;
  /** Every container ends: the host is off. */
  powerOff(): void;
  /** What every container of a bad image does from now on is what a good one does. */
  heal(): void;
}

export interface SimEngineOptions {
  /** The host as it is powered now: what it had under way ends with it. */
  readonly host: () => SimProcess;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly events: EngineEvents;
}

const IMAGES_MS = { pull: 400, long: 4000 };

export function simEngine({ host, scheduler, rng, events }: SimEngineOptions): SimEngine {
  const containers = new Map<string, Container>();
  const images = new Set<string>();
  const waiters = new Map<string, Set<(exit: Exit | undefined) => void>>();
  const healthWatchers = new Map<string, Set<() => void>>();
  const timers = new Map<string, Scheduled>();
  let healed = false;
  let addresses = 0;

  const wake = (taskId: string, exit: Exit | undefined): void => {
    for (const settle of [...(waiters.get(taskId) ?? [])]) settle(exit);
    waiters.delete(taskId);
  };
  const setHealth = (container: Container, health: Health): void => {
    if (container.health === health) return;
    if (health === 'unhealthy') container.wasSick = true;
    container.health = health;
    for (const call of [...(healthWatchers.get(container.taskId) ?? [])]) call();
  };
  const end = (container: Container, exit: Exit, why: string): void => {
    if (container.state !== 'running') return;
    timers.get(container.taskId)?.cancel();
    container.state = 'exited';
    container.exit = exit;
    container.endedAtMs = scheduler.nowMs;
    events.ended(container, why);
    wake(container.taskId, exit);
  };
  const later = (container: Container, ms: number, call: () => void): void => {
    timers.get(container.taskId)?.cancel();
    timers.set(container.taskId, scheduler.after(host(), ms, call));
  };
  /** What its image makes of it. */
  const live = (container: Container): void => {
    const kind = !healed ? container.image : container.image.includes('job') ? 'job' : 'web';
    if (kind.includes('crash')) later(container, between(rng, 100, 4000), () => end(container, { exitCode: 1, reason: '' }, 'crashed'));
    else if (kind.includes('oom'))
      later(container, between(rng, 500, 6000), () =>
        end(container, { exitCode: 137, reason: 'killed for memory (limit 64MiB)' }, 'out of memory'),
      );
    else if (kind.includes('flaky') && chance(rng, 0.4))
      later(container, between(rng, 300, 3000), () => end(container, { exitCode: 1, reason: '' }, 'crashed'));
    else if (kind.includes('done') || kind.includes('job'))
      later(container, kind.includes('long') ? between(rng, 8000, 40_000) : between(rng, 500, 6000), () =>
        end(container, { exitCode: 0, reason: '' }, 'finished'),
      );
    else if (kind.includes('sick')) {
      container.health = 'starting';
      later(container, between(rng, 1000, 5000), () => {
        setHealth(container, 'unhealthy');
      });
    } else if (kind.includes('check')) {
      container.health = 'starting';
      later(container, between(rng, 200, 2000), () => {
        setHealth(container, 'healthy');
      });
    }
  };
  const run = (container: Container): void => {
    const clash = [...containers.values()].find(
      (other) =>
        other !== container &&
        other.state === 'running' &&
        other.ports.some((port) => container.ports.some((own) => own.nodePort === port.nodePort)),
    );
    if (clash !== undefined) throw new ShoalError('failed_precondition', `port is already allocated by ${clash.taskId}`);
    container.state = 'running';
    container.starts++;
    container.startedAtMs = scheduler.nowMs;
    events.started(container);
    live(container);
  };

  const engine: SimEngine = {
    containers,
    pullsFail: false,
    failing: 0,
    slowness: 1,
    hangs: false,
    of: (agent) => runtimeOf(agent),
    kill(taskId, exit) {
      const container = containers.get(taskId);
      if (container !== undefined) end(container, exit, 'killed');
    },
    powerOff() {
      for (const container of containers.values()) end(container, { exitCode: 255, reason: '' }, 'host off');
    },
    heal() {
      healed = true;
      for (const container of containers.values()) {
        container.probes = 'answered';
        if (container.state !== 'running') continue;
        timers.get(container.taskId)?.cancel();
        live(container);
        if (container.health === 'starting' || container.health === 'unhealthy') setHealth(container, 'healthy');
      }
    },
  };

  const runtimeOf = (agent: SimProcess): Runtime => {
    /** The engine works whether or not the agent that asked is still there to hear of it. */
    const call = <T>(what: string, typicalMs: number, longMs: number, signal: AbortSignal, work: () => T | Promise<T>): Promise<T> => {
      agent.point('runtime', what);
      if (!agent.alive) return never();
      return new Promise<T>((resolve, reject) => {
        const answer = (settle: () => void): void => {
          scheduler.after(agent, delayMs(rng, 0.3, 3), () => {
            signal.removeEventListener('abort', onAbort);
            agent.point('runtime', `${what} answered`);
            if (agent.alive) settle();
          });
        };
        const fail = (code: ErrorCode, message: string): void => {
          answer(() => {
            reject(new ShoalError(code, message));
          });
        };
        const onAbort = (): void => {
          reject(new ShoalError('cancelled', 'cancelled'));
        };
        if (signal.aborted) {
          onAbort();
          return;
        }
        signal.addEventListener('abort', onAbort, { once: true });
        const attempt = (): void => {
          if (engine.hangs) {
            scheduler.after(host(), 500, attempt);
            return;
          }
          if (chance(rng, engine.failing / 2)) {
            fail('unavailable', 'the engine does not answer');
            return;
          }
          let result: Promise<T>;
          try {
            result = Promise.resolve(work());
          } catch (error) {
            result = Promise.reject(ShoalError.from(error));
          }
          result.then(
            (value) => {
              if (chance(rng, engine.failing / 2)) fail('unavailable', 'the engine does not answer any more');
              else
                answer(() => {
                  resolve(value);
                });
            },
            (error: unknown) => {
              answer(() => {
                reject(ShoalError.from(error));
              });
            },
          );
        };
        scheduler.after(host(), delayMs(rng, typicalMs, longMs) * engine.slowness, attempt);
      });
    };
    const need = (taskId: string): Container => {
      const container = containers.get(taskId);
      if (container === undefined) throw new ShoalError('not_found', `no container of task ${taskId}`);
      return container;
    };
    const pause = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        scheduler.after(host(), ms, resolve);
      });
    const ended = (container: Container): Promise<Exit> => {
      if (container.exit !== undefined) return Promise.resolve(container.exit);
      return new Promise((resolve, reject) => {
        let all = waiters.get(container.taskId);
        if (all === undefined) {
          all = new Set();
          waiters.set(container.taskId, all);
        }
        all.add((exit) => {
          if (exit === undefined) reject(new ShoalError('not_found', 'gone'));
          else resolve(exit);
        });
      });
    };
    return {
      name: 'docker',
      check: () => Promise.resolve(undefined),
      describe: (signal) =>
        call('describe', 2, 20, signal, () => ({
          engine: EngineDescription.create({ runtime: 'docker', version: '1.0' }),
          resources: { nanoCpus: 4e9, memoryBytes: 8e9, pids: 0 },
        })),
      prepare: (task, signal) =>
        call('prepare', 15, 120, signal, async () => {
          const { image } = { image: '', ...task.assignment.spec?.container };
          if (!images.has(image)) {
            await pause(delayMs(rng, IMAGES_MS.pull, IMAGES_MS.long) * engine.slowness);
            if (!healed && (engine.pullsFail || image.includes('nopull'))) {
              throw new ShoalError('not_found', `no such image: ${image}: manifest unknown`);
            }
            images.add(image);
          }
          const known = containers.get(task.assignment.taskId);
          if (known !== undefined) return instanceOf(known);
          const container = made(task);
          containers.set(container.taskId, container);
          events.created(container);
          return instanceOf(container);
        }),
      start: (taskId, signal) =>
        call('start', 30, 300, signal, () => {
          const container = need(taskId);
          if (container.state !== 'running') run(container);
          return instanceOf(container);
        }),
      wait: (taskId, signal) => call('wait', 1, 5, signal, () => ended(need(taskId))),
      watchHealth(taskId, onChange, signal) {
        const container = containers.get(taskId);
        if (container === undefined || !agent.alive) return;
        const tell = (): void => {
          const { health } = container;
          scheduler.after(agent, delayMs(rng, 1, 10), () => {
            if (!signal.aborted) onChange(health, health === 'unhealthy' ? 'exit code 1' : '');
          });
        };
        let all = healthWatchers.get(taskId);
        if (all === undefined) {
          all = new Set();
          healthWatchers.set(taskId, all);
        }
        const watchers = all;
        watchers.add(tell);
        signal.addEventListener('abort', () => watchers.delete(tell), { once: true });
        agent.onDeath(() => watchers.delete(tell));
        tell();
      },
      stop: (taskId, signal) =>
        call('stop', 5, 30, signal, async () => {
          const container = need(taskId);
          if (container.state === 'created') return { exitCode: 0, reason: 'it never ran' };
          if (container.state === 'running' && !container.stopping) {
            container.stopping = true;
            events.stopAsked(container, agent);
            const stubborn = container.image.includes('slow');
            const stopMs = stubborn ? between(rng, 2000, 10_000) : delayMs(rng, 80, 800);
            scheduler.after(host(), stopMs, () => {
              end(container, { exitCode: stubborn ? 137 : 143, reason: '' }, 'stopped');
            });
          }
          return ended(container);
        }),
      remove: (taskId, signal) =>
        call('remove', 10, 60, signal, () => {
          const container = containers.get(taskId);
          if (container === undefined) return;
          end(container, { exitCode: 137, reason: '' }, 'removed');
          containers.delete(taskId);
          wake(taskId, undefined);
          events.removed(container);
        }),
      list: (signal) => call('list', 5, 40, signal, () => [...containers.values()].map(instanceOf)),
      listOthers: () => Promise.resolve([]),
      inspect: (taskId, signal) =>
        call('inspect', 2, 20, signal, () => {
          const container = containers.get(taskId);
          return container === undefined ? undefined : instanceOf(container);
        }),
      // eslint-disable-next-line require-yield -- the simulated users read no logs
      async *logs() {
        await never();
      },
      exec: () => Promise.reject(new ShoalError('unimplemented', 'the simulated engine runs no commands')),
    };
  };

  const made = (task: TaskContext): Container => ({
    taskId: task.assignment.taskId,
    serviceId: task.assignment.serviceId,
    slot: task.assignment.slot === 0 ? task.nodeId : String(task.assignment.slot),
    specNumber: task.assignment.specNumber,
    image: task.assignment.spec?.container?.image ?? '',
    host: host().host.name,
    nodeId: task.nodeId,
    address: `172.17.0.${String(2 + (addresses++ % 250))}`,
    ports: task.ports,
    targets: [...new Set(task.assignment.ports.map((port) => port.targetPort))],
    state: 'created',
    starts: 0,
    startedAtMs: 0,
    endedAtMs: 0,
    exit: undefined,
    stopping: false,
    health: 'none',
    probes: 'answered',
    wasSick: false,
  });
  return engine;
}

function instanceOf(container: Container): Instance {
  const runs = container.state === 'running';
  return {
    taskId: container.taskId,
    containerId: `c-${container.taskId.slice(0, 12)}`,
    state: container.state,
    pid: runs ? 100 : 0,
    address: runs ? container.address : undefined,
    ports: container.ports,
    exit: container.exit,
  };
}
