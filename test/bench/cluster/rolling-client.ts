// Run by rolling.ts inside a host's namespace: a rolling update through Shoal, watched at the engines, beside its waves straight through the engines' API.
// node --import tsx rolling-client.ts MANAGER ROUNDS IMAGE SOCKET...; prints one JSON line.
import { credentials } from '@grpc/grpc-js';
import Docker from 'dockerode';
import { messages } from '../../../cli/client/stream.ts';
import { connect } from '../../../lib/rpc/index.ts';
import {
  ContainerSpec,
  ControlService,
  type ServiceSpec,
  ServiceSpec as Spec,
  TaskSpec,
  UpdateConfig,
  UpdateOrder,
  UpdateState,
  WatchProgressRequest,
  GetServiceRequest,
  CreateServiceRequest,
  UpdateServiceRequest,
} from '../../../proto/index.ts';

const REPLICAS = 10;
const PARALLELISM = 2;
const MONITOR_MS = 5000;
const SAMPLE_MS = 20;
/** Ends at once when it is told to. */
const COMMAND = ['sh', '-c', 'trap "exit 0" TERM; sleep 100000 & wait'];

const [manager = '', rounds = '3', image = '', ...sockets] = process.argv.slice(2);
const control = connect(manager, credentials.createInsecure()).client(ControlService);
const engines = sockets.map((socketPath) => new Docker({ socketPath }));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function running(): Promise<number> {
  const lists = await Promise.all(engines.map((engine) => engine.listContainers({ filters: { label: ['shoal.service.name=rolling'] } })));
  return lists.flat().length;
}

function specOf(order: UpdateOrder, version: number): ServiceSpec {
  const container = ContainerSpec.create({ image, command: COMMAND, env: [`VERSION=${version}`] });
  const update = UpdateConfig.create({ parallelism: PARALLELISM, monitorMs: MONITOR_MS, order });
  return Spec.create({ name: 'rolling', replicas: REPLICAS, task: TaskSpec.create({ container }), update });
}

async function converged(revision: number): Promise<void> {
  for await (const progress of messages(control.watchProgress(WatchProgressRequest.create({ serviceRef: 'rolling', revision })), manager)) {
    if (progress.update?.state === UpdateState.UPDATE_PAUSED) throw new Error(progress.update.message);
    if (progress.converged) return;
  }
}

async function fewestRunning(over: AbortSignal): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  while (!over.aborted) {
    fewest = Math.min(fewest, await running());
    await pause(SAMPLE_MS);
  }
  return fewest;
}

/** Milliseconds from the API's receipt until completed, and the fewest that ran meanwhile. */
async function update(order: UpdateOrder, version: number): Promise<{ readonly ms: number; readonly fewest: number }> {
  const view = await control.getService(GetServiceRequest.create({ ref: 'rolling' }));
  const startedMs = performance.now();
  const request = { ref: 'rolling', version: view.version, spec: specOf(order, version), noResolveImage: true };
  const { revision } = await control.updateService(UpdateServiceRequest.create(request));
  const over = new AbortController();
  const sampling = fewestRunning(over.signal);
  await converged(revision);
  const ms = performance.now() - startedMs;
  over.abort();
  return { ms, fewest: await sampling };
}

/** One wave: so many containers started, then as many stopped, each pair at once. */
async function wave(round: number): Promise<number> {
  const startedMs = performance.now();
  const indexes = Array.from({ length: PARALLELISM }, (_, index) => index);
  const containers = await Promise.all(
    indexes.map(async (index) => {
      const engine = engines[index % engines.length];
      if (engine === undefined) throw new Error('no engine');
      const container = await engine.createContainer({ name: `wave-${round}-${index}`, Image: image, Entrypoint: COMMAND });
      await container.start();
      return container;
    }),
  );
  await Promise.all(containers.map((container) => container.stop()));
  const ms = performance.now() - startedMs;
  await Promise.all(containers.map((container) => container.remove({ force: true })));
  return ms;
}

const spec = specOf(UpdateOrder.START_FIRST, 0);
const { revision } = await control.createService(CreateServiceRequest.create({ spec, noResolveImage: true }));
await converged(revision);
const waves: number[] = [];
const startFirst: { readonly ms: number; readonly fewest: number }[] = [];
const stopFirst: { readonly ms: number; readonly fewest: number }[] = [];
for (let round = 0; round < Number(rounds); round++) {
  for (let count = 0; count < REPLICAS / PARALLELISM; count++) waves.push(await wave(round * 100 + count));
  startFirst.push(await update(UpdateOrder.START_FIRST, 2 * round + 1));
  stopFirst.push(await update(UpdateOrder.STOP_FIRST, 2 * round + 2));
}
process.stdout.write(`${JSON.stringify({ waves, startFirst, stopFirst, count: REPLICAS / PARALLELISM, monitorMs: MONITOR_MS })}\n`);
process.exit(0);
