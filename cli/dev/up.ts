// Brings up a whole cluster on this machine: a store, one manager, nodes with agent and mesh each.
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { NodeState } from '../../proto/index.ts';
import { createControl } from '../client/control.ts';
import type { Shell } from '../shell.ts';
import { chooseRuntime, chooseStore, type RuntimeChoice, type StoreChoice } from './choices.ts';
import { stopCluster } from './down.ts';
import { type DevCluster, type DevLayout, type DevNode, type DevProcess, readCluster, refuseUnnamed, writeCluster } from './layout.ts';
import { addressesOfMeshes, processesText, stoppedParts } from './parts.ts';
import { devNodes, freePort, type NeededAddress, requireFree } from './ports.ts';
import { type Launch, launch, untilUp } from './processes.ts';
import { say } from './say.ts';
import { agentLaunch, etcdLaunch, managerLaunch } from './roles.ts';
import { isAlive } from '../../lib/process-id.ts';

export interface UpOptions {
  readonly store: 'etcd' | 'embedded' | undefined;
  readonly runtime: 'docker' | 'process' | undefined;
  readonly nodes: number;
  readonly managerPort: number;
  /** Published ports that must be free on every node. */
  readonly publishedPorts: readonly number[];
}

const UP_DEADLINE_MS = 30_000;

/** Resolves when every node is ready. On failure whatever was started is stopped again. */
export async function startCluster(layout: DevLayout, options: UpOptions, shell: Shell, signal: AbortSignal): Promise<DevCluster> {
  const leftover = readCluster(layout);
  if (leftover === undefined) refuseUnnamed(layout);
  else refuseWhileItRuns(layout, leftover);
  const store = chooseStore(options.store, shell.env['PATH']);
  const runtime = await chooseRuntime(options.runtime, shell, signal);
  say(shell, `store: ${store.words}`);
  say(shell, `runtime: ${runtime.words}`);
  const nodes = await devNodes(options.nodes);
  const needed = neededAddresses(nodes, options);
  if (leftover === undefined) {
    await requireFree(needed);
  } else {
    // Nothing is cleared for a cluster that could not start then. What the leftover itself holds is free afterwards.
    const held = addressesOfMeshes(layout, leftover);
    await requireFree(needed.filter(({ host, port }) => port === options.managerPort || !held.has(host)));
    const stopped = await stopCluster(layout, shell, shell.hurry());
    say(shell, `cleared what an earlier run left (${processesText(stopped ?? 0)} stopped)`);
    await requireFree(needed);
  }
  const plan: DevCluster = {
    managers: [`127.0.0.1:${options.managerPort}`],
    store: store.choice,
    runtime: runtime.choice,
    dockerSocket: runtime.socket,
    nodes,
    processes: [],
  };
  try {
    return await startProcesses(layout, plan, store, runtime, shell, signal);
  } catch (error) {
    await stopCluster(layout, shell, shell.hurry()).catch((failure: unknown) => {
      say(shell, messageOf(failure));
    });
    throw error;
  }
}

function refuseWhileItRuns(layout: DevLayout, earlier: DevCluster): void {
  if (!earlier.processes.some(isAlive)) return;
  const wayOut = stoppedParts(earlier) ?? '`npx shoal dev status` shows it, `npx shoal dev down` stops it';
  throw new ShoalError('failed_precondition', `a cluster already runs here (${layout.clusterFile}): ${wayOut}`);
}

function neededAddresses(nodes: readonly DevNode[], { managerPort, publishedPorts }: UpOptions): readonly NeededAddress[] {
  return [
    {
      host: '127.0.0.1',
      port: managerPort,
      wayOut: 'free it (a cluster of another folder: `npx shoal dev down` there), or choose another with --manager-port',
    },
    ...publishedPorts.flatMap((port) =>
      nodes.map(({ address, portOffset }) => ({
        host: address,
        port: port + portOffset,
        wayOut: 'free it, or choose another with --port',
      })),
    ),
  ];
}

async function startProcesses(
  layout: DevLayout,
  plan: DevCluster,
  store: StoreChoice,
  runtime: RuntimeChoice,
  shell: Shell,
  signal: AbortSignal,
): Promise<DevCluster> {
  let cluster = plan;
  writeCluster(layout, cluster);
  const start = (what: Launch): DevProcess => {
    const started = launch(layout, what);
    cluster = { ...cluster, processes: [...cluster.processes, started] };
    writeCluster(layout, cluster);
    return started;
  };
  let etcdPort: number | undefined;
  if (store.choice === 'etcd') {
    etcdPort = await freePort('127.0.0.1');
    start(etcdLaunch(layout, store.etcdBinary, { client: etcdPort, peer: await freePort('127.0.0.1') }));
  }
  const listen = cluster.managers[0] ?? '';
  const manager = start(managerLaunch(layout, listen, etcdPort));
  const settings = { manager: listen, runtime: runtime.choice, dockerSocket: runtime.socket };
  const agents = cluster.nodes.map((node) => start(agentLaunch(layout, node, settings)));
  say(shell, `starting ${cluster.nodes.length} nodes...`);
  await nodesReady(cluster, [manager, ...agents], cluster.nodes, shell, signal);
  return cluster;
}

/** Resolves when the manager answers and all of `wanted` are ready; rejects early where one of `started`, which is not empty, has ended. */
export async function nodesReady(
  cluster: DevCluster,
  started: readonly DevProcess[],
  wanted: readonly DevNode[],
  shell: Shell,
  signal: AbortSignal,
): Promise<void> {
  const control = createControl({ managers: cluster.managers, clock: shell.clock, signal });
  try {
    await untilUp(started, 'the nodes to be ready', UP_DEADLINE_MS, shell.clock, signal, async () => {
      const answer = await control.read((client, call) => client.listNodes({ filters: [], refs: [] }, call)).catch(() => undefined);
      const ready = answer?.nodes.filter(({ status }) => status?.state === NodeState.NODE_READY);
      const names = new Set(ready?.map(({ status }) => status?.description?.hostname));
      return ready !== undefined && wanted.every(({ hostname }) => names.has(hostname)) ? true : undefined;
    });
  } finally {
    control.close();
  }
}
