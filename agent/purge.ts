// Clears a node of what an agent that is gone left running: its tasks and its mesh. No manager is needed.
import { join } from 'node:path';
import { TaskState } from '../proto/index.ts';
import { type Clock, withDeadline } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { askerOf } from './health/ask.ts';
import { endProcess, endRemains, launchedBefore } from './mesh/mesh-process.ts';
import { purgeMesh } from './mesh/mesh-purge.ts';
import { openPortLeases } from './ports/port-leases.ts';
import type { Runtime } from './runtime/runtime.ts';
import { openAssignments } from './session/assignment-keeper.ts';
import type { NodeIdentity } from './session/node-identity.ts';
import { createWorker, type Worker } from './worker/worker.ts';

export interface PurgeOptions {
  readonly dataDir: string;
  readonly dataAddress: string;
  readonly identity: NodeIdentity;
  readonly runtime: Runtime;
  /** As the mesh is started with. */
  readonly command: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

const MESH_GRACE_MS = 1000;
const FIND_MS = 10_000;
/** As a shell reports SIGKILL. */
const KILLED = 137;

/** Its tasks get no grace period: stopping one kills it. */
export function killingRuntime(runtime: Runtime): Runtime {
  return {
    ...runtime,
    async stop(taskId, signal) {
      await runtime.remove(taskId, signal);
      return { exitCode: KILLED, reason: 'it was killed' };
    },
  };
}

/** Throws `unavailable` where the engine does not say what runs, or something could not be removed. */
export async function purgeNode(options: PurgeOptions, signal: AbortSignal): Promise<void> {
  const { clock, dataDir } = options;
  const meshDir = join(dataDir, 'mesh');
  const mesh = launchedBefore(meshDir);
  const endMesh = async (): Promise<void> => {
    if (mesh !== undefined) await endProcess(mesh, MESH_GRACE_MS, clock);
    await endRemains(meshDir, clock);
    if (mesh !== undefined) await purgeMesh({ command: options.command, dataDir: meshDir, nodeId: options.identity.nodeId });
  };
  const meshEnded = endMesh();
  // Told at the end, when the tasks are gone too.
  meshEnded.catch(() => undefined);
  let found: () => void = () => undefined;
  const adopted = new Promise<void>((resolve) => {
    found = resolve;
  });
  const worker: Worker = createWorker({
    ...options,
    ports: openPortLeases(options),
    // Nothing of it is to be served any more.
    probe: () => undefined,
    askerOf: askerOf(options.runtime),
    node: { ...options.identity, dataAddress: options.dataAddress },
    onStatus: () => undefined,
    onForgotten: () => undefined,
    onAdopted: () => {
      found();
    },
  });
  const assigned = openAssignments({ ...options, onApplied: () => undefined }).applied().tasks;
  worker.apply(new Map([...assigned].map(([taskId, assignment]) => [taskId, { ...assignment, desired: TaskState.REMOVE }])), false);
  worker.start();
  try {
    await withDeadline(clock, FIND_MS, 'finding the tasks of this node', () => adopted, signal);
    const empty = await worker.drain();
    if (!empty) throw new ShoalError('unavailable', 'some tasks of this node could not be removed; see the log above, and try again');
  } finally {
    await worker.stop();
    await meshEnded;
  }
}
