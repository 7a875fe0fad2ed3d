// Brings up a whole cluster on this machine: a store, one manager, nodes with agent and mesh each.
import { ShoalError } from '../../lib/errors.ts';
import { NodeState } from '../../proto/index.ts';
import { createControl } from '../client/control.ts';
import type { Shell } from '../shell.ts';
import { chooseRuntime, chooseStore, type RuntimeChoice, type StoreChoice } from './choices.ts';
import { stopCluster } from './down.ts';
import { type DevCluster, type DevLayout, type DevProcess, readCluster, writeCluster } from './layout.ts';
import { devNodes, freePort, requireFree } from './ports.ts';
import { type Launch, launch, untilUp } from './processes.ts';
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
  await clearLeftover(layout, shell);
  const store = chooseStore(options.store, shell.env['PATH']);
  const runtime = await chooseRuntime(options.runtime, shell, signal);
  say(shell, `store: ${store.words}`);
  say(shell, `runtime: ${runtime.words}`);
  const nodes = await devNodes(options.nodes);
  await requireFree([
    { host: '127.0.0.1', port: options.managerPort, flag: '--manager-port' },
    ...options.publishedPorts.flatMap((port) =>
      nodes.map((node) => ({ host: node.address, port: port + node.portOffset, flag: '--port' })),
    ),
  ]);
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
    await stopCluster(layout, shell.clock, shell.hurry());
    throw error;
  }
}

async function clearLeftover(layout: DevLayout, shell: Shell): Promise<void> {
  const earlier = readCluster(layout);
  if (earlier === undefined) return;
  if (earlier.processes.some((process) => process.role === 'manager' && isAlive(process))) {
    throw new ShoalError(
      'failed_precondition',
      `a cluster already runs here (${layout.clusterFile}): see \`npx shoal dev status\`, stop it with \`npx shoal dev down\``,
    );
  }
  const stopped = await stopCluster(layout, shell.clock, shell.hurry());
  say(shell, `cleared what an earlier run left (${stopped ?? 0} processes stopped)`);
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
  await nodesReady(cluster, manager, agents, shell, signal);
  return cluster;
}

async function nodesReady(
  cluster: DevCluster,
  manager: DevProcess,
  agents: readonly DevProcess[],
  shell: Shell,
  signal: AbortSignal,
): Promise<void> {
  const control = createControl({ managers: cluster.managers, clock: shell.clock, signal });
  try {
    await untilUp(manager, 'the nodes were ready', UP_DEADLINE_MS, shell.clock, signal, async () => {
      const dead = agents.find((agent) => !isAlive(agent));
      if (dead !== undefined) throw new ShoalError('unavailable', `${dead.name} ended early; see ${dead.logFile}`);
      const nodes = await control.read((client, call) => client.listNodes({ filters: [], refs: [] }, call)).catch(() => undefined);
      const ready = nodes?.nodes.filter((node) => node.status?.state === NodeState.NODE_READY) ?? [];
      return ready.length >= cluster.nodes.length ? true : undefined;
    });
  } finally {
    control.close();
  }
}

export function say(shell: Shell, line: string): void {
  shell.err.write(`shoal: ${line}\n`);
}
