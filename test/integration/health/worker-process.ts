// Run as a process of its own by probes.test.ts: an agent's worker with one task, on a real runtime. Says each status as a line of JSON.
import { createDockerRuntime } from '../../../agent/runtime/docker/index.ts';
import { createProcessRuntime } from '../../../agent/runtime/process/index.ts';
import { probeTargets } from '../../../agent/endpoints/endpoints.ts';
import { askerOf } from '../../../agent/health/ask.ts';
import { openPortLeases } from '../../../agent/ports/port-leases.ts';
import { createWorker } from '../../../agent/worker/worker.ts';
import { systemClock as clock } from '../../../lib/clock.ts';
import { silentLogger as log } from '../../../lib/log.ts';
import { systemRng as rng } from '../../../lib/rng.ts';
import { Assignment } from '../../../proto/index.ts';

export interface WorkerArguments {
  readonly dataDir: string;
  readonly dataAddress: string;
  /** Of the Docker engine; empty: plain processes. */
  readonly socketPath: string;
  readonly assignment: Assignment;
}

const given = JSON.parse(process.argv[2] ?? '') as WorkerArguments;
const { dataDir, dataAddress, socketPath } = given;
const assignment = Assignment.create(given.assignment);
const node = { nodeId: 'node1', clusterId: 'cluster1', dataAddress };
const runtime =
  socketPath === ''
    ? createProcessRuntime({ directory: dataDir, ...node, clock, log })
    : createDockerRuntime({ socketPath, ...node, clock, rng, log });
const worker = createWorker({
  runtime,
  ports: openPortLeases({ dataDir, dataAddress, clock, log }),
  probe: probeTargets(clock, rng),
  askerOf: askerOf(runtime),
  dataDir,
  clock,
  rng,
  log,
  node,
  onStatus: (status) => process.stdout.write(`${JSON.stringify(status)}\n`),
  onForgotten: () => undefined,
  onAdopted: () => undefined,
});
worker.apply(new Map([[assignment.taskId, assignment]]), true);
worker.start();
// A worker whose tasks have all ended waits for nothing; this process stays until it is told to go.
const STAYS_MS = 600_000;
clock.after(STAYS_MS, () => process.exit(1));
process.once('SIGTERM', () => void worker.stop().then(() => process.exit(0)));
process.once('SIGINT', () => void worker.drain().then(() => process.exit(0)));
