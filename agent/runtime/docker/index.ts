// Tasks as containers of Docker (API 1.41 on) or Podman. Keeps nothing that a restart would lose: name and labels say all.
import { type ContainerInfo, type ContainerInspectInfo } from 'dockerode';
import { type IncomingMessage } from 'node:http';
import { type Readable } from 'node:stream';
import { type Clock, sleep } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import { type Logger } from '../../../lib/log.ts';
import { type Rng } from '../../../lib/rng.ts';
import { ContainerSpec, type LogsRequest } from '../../../proto/index.ts';
import { type Exit, type Instance, type Runtime, type TaskContext } from '../runtime.ts';
import { CHANGE_DEADLINE_MS, createEngineClient, QUERY_DEADLINE_MS } from './client.ts';
import { containerOptions } from './container-options.ts';
import { createEngineFacts } from './engine-facts.ts';
import { startExec } from './exec.ts';
import { watchHealth } from './health-watch.ts';
import { createImages } from './image.ts';
import { imageCleaner } from './image-cleaner.ts';
import { type ImageLedger } from './image-ledger.ts';
import { exitOf, healthOf, instanceOf, labelsOf, listedInstance } from './instance.ts';
import { clusterLabels, containerName, LABEL, ownLabels, requireOwn } from './labels.ts';
import { multiplexedLines, ttyLines } from './log-lines.ts';
import { createObserver } from './observer.ts';

export interface DockerRuntimeOptions {
  readonly socketPath: string;
  /** Which engine answers there; `detectEngine` says. Unless given, docker. */
  readonly engine?: 'docker' | 'podman';
  /** A function where the id is not known yet when the runtime is made. */
  readonly nodeId: string | (() => string);
  readonly clusterId: string | (() => string);
  /** Where this node answers published ports: host-mode ones are bound there. None: on all addresses. */
  readonly hostAddresses?: readonly string[];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Where pulled images are noted; without it none is ever removed. */
  readonly ledger?: ImageLedger;
}

interface Started {
  /** The event stream that was open before it started. */
  readonly stream: number | undefined;
  /** Whether it has a health check. */
  readonly checked: boolean;
}

/** The engine's own default for a container that names no grace period. */
const DEFAULT_GRACE_MS = 10_000;
/** After the kill that ends the grace period. */
const STOP_MARGIN_MS = 30_000;
const CREATE_ATTEMPTS = 2;
const REMOVE_ATTEMPTS = 50;
const REMOVE_RETRY_MS = 200;

export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  const { clock, rng, log } = options;
  const engine = options.engine ?? 'docker';
  const client = createEngineClient(options.socketPath, clock);
  const facts = createEngineFacts(client, engine);
  const images = createImages(client, clock, log, options.ledger);
  const own = (): string[] => ownLabels(valueOf(options.clusterId), valueOf(options.nodeId));
  const container = (taskId: string) => client.docker.getContainer(containerName(taskId));

  const listLabelled = (label: string[], signal: AbortSignal): Promise<readonly ContainerInfo[]> =>
    client.call(
      'cannot list containers',
      QUERY_DEADLINE_MS,
      (abortSignal) => client.docker.listContainers({ all: true, filters: { label }, abortSignal }),
      signal,
    );
  const listContainers = (signal: AbortSignal): Promise<readonly ContainerInfo[]> => listLabelled(own(), signal);
  const observer = createObserver({
    clock,
    rng,
    log,
    listContainers,
    openEvents: (signal) =>
      client.stream(
        'cannot read the events',
        QUERY_DEADLINE_MS,
        async (abortSignal) => {
          const stream = (await client.docker.getEvents({ filters: facts.eventFilters(own()), abortSignal })) as IncomingMessage;
          // It stays open for a while without a listener, and must not keep a process alive that has nothing else to do.
          stream.socket.unref();
          return stream;
        },
        signal,
      ),
  });
  /** What starting a task has shown, so that waiting for it and its health need not ask again. Lost without harm. */
  const started = new Map<string, Started>();
  /** Undefined where there is none. */
  const find = async (taskId: string, signal: AbortSignal): Promise<ContainerInspectInfo | undefined> => {
    try {
      return await client.call(
        `cannot inspect task ${taskId}`,
        QUERY_DEADLINE_MS,
        (abortSignal) => container(taskId).inspect({ abortSignal }),
        signal,
      );
    } catch (error) {
      if (hasCode(error, 'not_found')) return undefined;
      throw error;
    }
  };
  const need = async (taskId: string, signal: AbortSignal): Promise<ContainerInspectInfo> => {
    const info = await find(taskId, signal);
    if (info === undefined) throw new ShoalError('not_found', `task ${taskId} has no container: somebody removed it`);
    return info;
  };
  const create = async (task: TaskContext, image: string | undefined, signal: AbortSignal): Promise<Instance> => {
    const { taskId, taskName } = task.assignment;
    const created = await client.call(
      `cannot create a container for ${taskName}`,
      CHANGE_DEADLINE_MS,
      (abortSignal) =>
        client.dial({
          method: 'POST',
          path: '/containers/create',
          query: { name: containerName(taskId) },
          body: containerOptions(task, image, options.hostAddresses),
          abortSignal,
        }),
      signal,
    );
    const containerId = (created as { readonly Id: string }).Id;
    return { taskId, containerId, state: 'created', pid: 0, address: undefined, ports: task.ports, exit: undefined };
  };
  const adopt = async (task: TaskContext, refusal: unknown, signal: AbortSignal): Promise<Instance> => {
    const info = await find(task.assignment.taskId, signal);
    if (info === undefined) throw refusal;
    requireOwn(labelsOf(info.Config), task);
    return instanceOf(info, await facts.containersReachable(signal));
  };

  return {
    name: engine,
    check: (signal) => facts.check(signal),
    describe: (signal) => facts.describe(signal),

    async prepare(task, signal) {
      const spec = task.assignment.spec?.container ?? ContainerSpec.create();
      observer.warm();
      if (spec.image === '') throw new ShoalError('failed_precondition', `${task.assignment.taskName} names no image`);
      try {
        // The image is mostly there, and creating tells; asking first would cost a round trip each time.
        return await create(task, undefined, signal);
      } catch (error) {
        if (isNameTaken(error)) return await adopt(task, error, signal);
        if (!hasCode(error, 'not_found')) throw error;
      }
      for (let attempt = 1; ; attempt++) {
        const image = await images.ensure(spec, signal);
        try {
          return await create(task, image, signal);
        } catch (error) {
          if (isNameTaken(error)) return await adopt(task, error, signal);
          if (!hasCode(error, 'not_found')) throw error;
          // Once it may be that the image was just being cleaned up. The image is there: what is missing is something else that the task asks for,
          // such as a volume driver.
          if (attempt === CREATE_ATTEMPTS) throw new ShoalError('failed_precondition', messageOf(error), { cause: error });
        }
      }
    },

    async start(taskId, signal) {
      const stream = observer.stream();
      await unlessDone(
        client.call(
          `cannot start task ${taskId}`,
          CHANGE_DEADLINE_MS,
          (abortSignal) => container(taskId).start({ abortSignal }) as Promise<unknown>,
          signal,
        ),
      );
      const info = await need(taskId, signal);
      if (info.State.Running) started.set(taskId, { stream, checked: healthOf(info).health !== 'none' });
      return instanceOf(info, await facts.containersReachable(signal));
    },

    wait: (taskId, signal) =>
      new Promise<Exit>((resolve, reject) => {
        const finish = (settle: () => void): void => {
          unsubscribe();
          signal.removeEventListener('abort', onAbort);
          settle();
        };
        const onAbort = (): void => {
          finish(() => {
            reject(new ShoalError('cancelled', 'cancelled', { cause: signal.reason }));
          });
        };
        const look = async (): Promise<void> => {
          try {
            const info = await need(taskId, signal);
            if (instanceOf(info, false).state === 'exited') {
              finish(() => {
                resolve(exitOf(info));
              });
            } else observer.lookAgain();
          } catch (error) {
            // An engine that is down for a while has not ended the task; the list tells when it is back.
            if (signal.aborted) return;
            if (ShoalError.from(error).retryable) observer.lookAgain();
            else {
              finish(() => {
                reject(ShoalError.from(error));
              });
            }
          }
        };
        const unsubscribe = observer.subscribe(
          taskId,
          (hint) => {
            if (hint === 'ended') void look();
          },
          started.get(taskId)?.stream,
        );
        signal.addEventListener('abort', onAbort, { once: true });
        if (signal.aborted) onAbort();
      }),

    watchHealth(taskId, onChange, signal) {
      if (started.get(taskId)?.checked === false) onChange('none', '');
      else watchHealth({ clock, observer, inspect: () => find(taskId, signal) }, taskId, onChange, signal);
    },

    async stop(taskId, signal) {
      const info = await need(taskId, signal);
      if (instanceOf(info, false).state === 'created') return { exitCode: 0, reason: 'it was never started' };
      const graceMs = (info.Config as { readonly StopTimeout?: number }).StopTimeout;
      const deadlineMs = (graceMs === undefined ? DEFAULT_GRACE_MS : graceMs * 1000) + STOP_MARGIN_MS;
      // Signal and grace period are the container's own.
      await unlessDone(
        client.call(
          `cannot stop task ${taskId}`,
          deadlineMs,
          (abortSignal) => container(taskId).stop({ abortSignal }) as Promise<unknown>,
          signal,
        ),
      );
      return exitOf(await need(taskId, signal));
    },

    async remove(taskId, signal) {
      started.delete(taskId);
      for (let attempt = 1; ; attempt++) {
        try {
          await client.call(
            `cannot remove task ${taskId}`,
            CHANGE_DEADLINE_MS,
            (abortSignal) => container(taskId).remove({ force: true, v: true, abortSignal }) as Promise<unknown>,
            signal,
          );
          return;
        } catch (error) {
          if (hasCode(error, 'not_found')) return;
          // Somebody else is removing it; it is done when it is gone.
          if (!hasCode(error, 'conflict') || attempt === REMOVE_ATTEMPTS) throw error;
          await sleep(clock, REMOVE_RETRY_MS, signal);
        }
      }
    },

    async list(signal) {
      const reachable = await facts.containersReachable(signal);
      return (await listContainers(signal)).map((info) => listedInstance(info, reachable));
    },

    async listOthers(signal) {
      const containers = await listLabelled(clusterLabels(valueOf(options.clusterId)), signal);
      return containers.flatMap(({ Labels: labels }) => {
        const { [LABEL.node]: nodeId = '', [LABEL.taskId]: taskId = '' } = labels;
        return nodeId === '' || taskId === '' || nodeId === valueOf(options.nodeId) ? [] : [{ nodeId, taskId }];
      });
    },

    async inspect(taskId, signal) {
      const info = await find(taskId, signal);
      return info === undefined ? undefined : instanceOf(info, await facts.containersReachable(signal));
    },

    async *logs(request, signal) {
      const info = await need(request.taskId, signal);
      const stream = await client.stream(
        `cannot read the logs of task ${request.taskId}`,
        QUERY_DEADLINE_MS,
        async (abortSignal) =>
          (await client.dial({
            method: 'GET',
            path: `/containers/${containerName(request.taskId)}/logs`,
            query: logsQuery(request),
            stream: true,
            abortSignal,
          })) as Readable,
        signal,
      );
      try {
        yield* info.Config.Tty ? ttyLines(stream) : multiplexedLines(stream);
      } catch (error) {
        if (!signal.aborted)
          throw new ShoalError('unavailable', `the logs of task ${request.taskId} broke off: ${messageOf(error)}`, { cause: error });
      } finally {
        stream.destroy();
      }
    },

    exec: (taskId, execOptions, signal) => startExec(client, clock, taskId, execOptions, signal),
    ...(options.ledger === undefined ? {} : { cleanUp: imageCleaner(client, options.ledger, clock, log) }),
  };
}

function logsQuery(request: LogsRequest): Record<string, string> {
  const both = request.stdout === request.stderr;
  return {
    timestamps: '1',
    stdout: both || request.stdout ? '1' : '0',
    stderr: both || request.stderr ? '1' : '0',
    follow: request.follow ? '1' : '0',
    tail: request.tail < 0 ? 'all' : String(request.tail),
    ...(request.sinceUnixMs > 0 ? { since: (request.sinceUnixMs / 1000).toFixed(3) } : {}),
  };
}

function valueOf(value: string | (() => string)): string {
  return typeof value === 'string' ? value : value();
}

/** Passes over the engine's answer that the container is in the wished state already (304). */
async function unlessDone(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!hasCode(error, 'already_exists')) throw error;
  }
}

function hasCode(error: unknown, code: ShoalError['code']): boolean {
  return error instanceof ShoalError && error.code === code;
}

/** Docker answers 409; older Podman 500 with these words. */
function isNameTaken(error: unknown): boolean {
  return hasCode(error, 'conflict') || (error instanceof ShoalError && /name .* is (already )?in use/i.test(error.message));
}
