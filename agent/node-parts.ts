// What runs on a node once it knows who it is: the worker of its tasks, its mesh, and what keeps the host clean.
import { join } from 'node:path';
import type { Disk } from '../lib/durable-file.ts';
import type { AgentOptions } from './agent-options.ts';
import { probeTargets } from './endpoints/endpoints.ts';
import { askerOf } from './health/ask.ts';
import { housekeeper, type Housekeeper } from './housekeeping/housekeeper.ts';
import { type MeshHandlers, type MeshSupervisor, meshSupervisor } from './mesh/mesh-supervisor.ts';
import { openPortLeases } from './ports/port-leases.ts';
import type { NodeIdentity } from './session/node-identity.ts';
import { createWorker, type Worker, type WorkerOptions } from './worker/worker.ts';

export interface NodeParts {
  readonly worker: Worker;
  /** Undefined: this agent runs none. */
  readonly mesh: MeshSupervisor | undefined;
  readonly cleaner: Housekeeper | undefined;
}

export interface NodePartsHandlers extends Pick<WorkerOptions, 'disk' | 'onStatus' | 'onForgotten' | 'onAdopted'> {
  readonly disk: Disk;
  readonly mesh: MeshHandlers;
}

/** Nothing of it is started. */
export function createNodeParts(options: AgentOptions, who: NodeIdentity, { mesh: handlers, ...reports }: NodePartsHandlers): NodeParts {
  const { dataDir, clock, rng, log, runtime, housekeeping, launchMesh } = options;
  const node = { nodeId: who.nodeId, clusterId: who.clusterId, dataAddress: options.description.dataAddress };
  const worker = createWorker({
    runtime,
    ports: openPortLeases({ ...options, disk: reports.disk, dataAddress: node.dataAddress }),
    probe: probeTargets(clock, rng, options.tryConnect),
    askerOf: options.askerOf ?? askerOf(runtime),
    dataDir,
    clock,
    rng,
    log,
    node,
    ...(housekeeping === undefined ? {} : { retention: housekeeping.finished }),
    ...reports,
  });
  const supervise = options.superviseMesh ?? meshSupervisor;
  const mesh =
    launchMesh === undefined
      ? undefined
      : supervise({ ...who, dataDir: join(dataDir, 'mesh'), launcher: launchMesh(who.nodeId), clock, rng, log, handlers });
  const cleaner = housekeeping === undefined ? undefined : housekeeper({ settings: housekeeping, runtime, worker, clock, rng, log });
  return { worker, mesh, cleaner };
}
