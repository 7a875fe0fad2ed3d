// Run by replicas.ts inside a host's namespace: measures Shoal and the bare engines in turn, and prints one JSON line.
// node --import tsx client.ts MANAGER ROUNDS IMAGE SOCKET...
import { credentials } from '@grpc/grpc-js';
import Docker from 'dockerode';
import { messages } from '../../../cli/client/stream.ts';
import { connect } from '../../../lib/rpc/index.ts';
import { ContainerSpec, ControlService, CreateServiceRequest, RemoveServiceRequest, ServiceSpec, TaskSpec } from '../../../proto/index.ts';

const REPLICAS = 30;
const IN_FLIGHT = 8;
const COMMAND = ['sleep', '100000'];

const [manager = '', rounds = '7', image = '', ...sockets] = process.argv.slice(2);
const control = connect(manager, credentials.createInsecure()).client(ControlService);
const engines = sockets.map((socketPath) => new Docker({ socketPath }));

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function createService(replicas: number): Promise<void> {
  const container = ContainerSpec.create({ image, args: COMMAND, stopSignal: 'SIGKILL' });
  const spec = ServiceSpec.create({ name: 'bench', replicas, task: TaskSpec.create({ container }) });
  const { revision } = await control.createService(CreateServiceRequest.create({ spec, noResolveImage: true }));
  for await (const progress of messages(control.watchProgress({ serviceRef: 'bench', revision, stableMs: 0 }), manager)) {
    if (progress.converged) return;
  }
}

async function removeService(): Promise<void> {
  await control.removeService(RemoveServiceRequest.create({ ref: 'bench' }));
  await untilEmpty();
}

/** By the engines, not by Shoal: the next round must not run beside the end of this one. */
async function untilEmpty(): Promise<void> {
  for (;;) {
    const left = await Promise.all(engines.map((engine) => engine.listContainers({ all: true })));
    if (left.every((list) => list.length === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The same containers through the engines' API, `IN_FLIGHT` at a time over all engines. */
async function createBare(count: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      const engine = engines[index % engines.length];
      if (engine === undefined) return;
      const options = {
        name: `bare-${index}`,
        Image: image,
        Cmd: COMMAND,
        StopSignal: 'SIGKILL',
        HostConfig: { RestartPolicy: { Name: 'no' } },
      };
      const container = await engine.createContainer(options);
      await container.start();
    }
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count) }, worker));
}

async function removeBare(): Promise<void> {
  await Promise.all(
    engines.map(async (engine) => {
      const containers = await engine.listContainers({ all: true });
      await Promise.all(containers.map(({ Id }) => engine.getContainer(Id).remove({ force: true })));
    }),
  );
  await untilEmpty();
}

async function measure(count: number): Promise<{ readonly shoalMs: readonly number[]; readonly bareMs: readonly number[] }> {
  const shoalMs: number[] = [];
  const bareMs: number[] = [];
  for (let round = 0; round < Number(rounds); round++) {
    bareMs.push(await timed(() => createBare(count)));
    await removeBare();
    shoalMs.push(await timed(() => createService(count)));
    await removeService();
  }
  return { shoalMs, bareMs };
}

const many = await measure(REPLICAS);
const one = await measure(1);
process.stdout.write(`${JSON.stringify({ many, one })}\n`);
process.exit(0);
