// A mesh process on a test host whose kernel path is real: a node with containers on a bridge, two other nodes, and a client.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { endHolder } from '../../agent/mesh/mesh-process.ts';
import { DataPath, IngressSettings, PortProtocol, type PortRoute, type RouteTarget } from '../../proto/index.ts';
import { createHosts, type Host } from './hosts.ts';
import { connectAgent, type MeshAgent } from './mesh-agent.ts';
import { type NetActor, startActor } from './net-actor.ts';
import { routeOf, tableOf, targetOf } from './routes.ts';
import { until } from './until.ts';

const run = promisify(execFile);

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const TABLE = 'shoal_nodea';
/** Where the replica in the node's own container answers. */
export const CONTAINER = { address: '172.30.0.2', port: 80 } as const;

export interface KernelMesh {
  readonly node: Host;
  /** Two other nodes, and what answers on them. */
  readonly others: readonly { readonly host: Host; readonly actor: NetActor }[];
  readonly container: NetActor;
  readonly client: NetActor;
  readonly clientAddress: string;
  /** On the node itself. */
  readonly local: NetActor;
  readonly agent: MeshAgent;
  /** Puts a table in use with these ports and waits for the acknowledgement. */
  table(...ports: readonly PortRoute[]): Promise<void>;
  /** kill -9, and its end. */
  kill(): Promise<void>;
  /** Starts the mesh (again) and connects to it. */
  start(extra?: readonly string[]): Promise<void>;
  /** `shoal mesh` with these arguments, on the node, to its end. */
  command(...args: readonly string[]): Promise<string>;
  /** What nft lists on the node. */
  ruleset(): Promise<string>;
  /** Connections that the kernel has mapped for a port. */
  mapped(transport: 'tcp' | 'udp', port: number): Promise<number>;
  /** Gives every host an IPv6 address as well. */
  addIpv6(): Promise<void>;
  ipv6Of(host: Host): string;
  log(): string;
  /** Ends the mesh, and takes away what it and the test have put into the node's kernel and on its disk. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

/** A port that asks for the kernel's path. */
export function kernelRoute(port: number, targets: readonly RouteTarget[], more: Partial<PortRoute> = {}): PortRoute {
  return routeOf(port, targets, { settings: IngressSettings.create({ dataPath: DataPath.PATH_KERNEL }), ...more });
}

export function udpRoute(port: number, targets: readonly RouteTarget[]): PortRoute {
  return kernelRoute(port, targets, { protocol: PortProtocol.UDP });
}

/** A replica on another node. */
export function remote(taskId: string, host: Host, port: number, more: Partial<RouteTarget> = {}): RouteTarget {
  return targetOf(taskId, port, { nodeId: `node-${host.name}`, nodeAddress: host.address, ...more });
}

/** The one in the node's own container. */
export function own(taskId: string, node: Host, more: Partial<RouteTarget> = {}): RouteTarget {
  const container = { containerAddress: CONTAINER.address, containerPort: CONTAINER.port };
  return targetOf(taskId, 20_001, { nodeId: 'nodea', nodeAddress: node.address, ...container, ...more });
}

export async function startKernelMesh(): Promise<KernelMesh> {
  const hosts = await createHosts(4);
  const dataDir = mkdtempSync(join(tmpdir(), 'shoal-kernel-'));
  const [node, ...rest] = hosts.list;
  const clientHost = rest.pop();
  if (node === undefined || clientHost === undefined) throw new Error('no hosts');
  const container = await addContainer(node);
  const actors = { container: startActor(container.host), client: startActor(clientHost), local: startActor(node) };
  const others = rest.map((host) => ({ host, actor: startActor(host) }));
  await node.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  const shoal = (...args: readonly string[]): readonly string[] => [
    ...['--import', 'tsx', join(ROOT, 'cli/main.ts'), 'mesh'],
    ...args,
    ...['--data-dir', dataDir, '--node-id', 'nodea'],
  ];
  let child: ChildProcess | undefined;
  let log = '';
  let agent: MeshAgent | undefined;
  let revision = 0;
  const kill = async (): Promise<void> => {
    agent?.close();
    const killed = child;
    if (killed === undefined) return;
    killed.kill('SIGKILL');
    await until(() => killed.exitCode !== null || killed.signalCode !== null, 'the end of the mesh');
  };
  const listening = async (): Promise<number> => (await node.run('ss', ['-Htln'])).stdout.split('\n').length;
  const listeningAtRest = await listening();
  /** With whoever keeps its sockets; one that it was just replacing goes by itself. */
  const end = async (): Promise<void> => {
    await kill();
    endHolder(dataDir);
    await until(async () => (await listening()) <= listeningAtRest, 'its ports are free', 10_000);
  };
  return {
    node,
    others,
    ...actors,
    clientAddress: clientHost.address,
    get agent() {
      if (agent === undefined) throw new Error('no mesh');
      return agent;
    },
    async table(...ports) {
      await agent?.table(tableOf(++revision, ports));
    },
    kill,
    async start(extra = []) {
      child = node.spawn(process.execPath, [...shoal(...extra), '--log-format', 'json'], {
        cwd: ROOT,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
      await until(
        async () => {
          agent = await connectAgent(dataDir);
          agent.hello('nodea');
          const { reports } = agent;
          await until(() => reports.length > 0, 'a report', 2000);
          return agent.last('ready') !== undefined;
        },
        () => `the mesh greets: ${log}`,
        20_000,
      );
    },
    command: async (...args) => (await node.run(process.execPath, shoal(...args))).stdout,
    ruleset: async () => (await node.run('nft', ['list', 'ruleset'])).stdout,
    async mapped(transport, port) {
      const { stdout } = await node.run('nft', ['list', 'counter', 'inet', TABLE, `${transport}_${String(port)}`]);
      return Number(/packets (\d+)/.exec(stdout)?.[1]);
    },
    async addIpv6() {
      for (const host of hosts.list) await host.run('ip', ['-6', 'address', 'add', `${ipv6Of(host)}/64`, 'dev', 'eth0', 'nodad']);
    },
    ipv6Of,
    log: () => log,
    async reset() {
      await end();
      log = '';
      await node.run('nft', ['flush', 'ruleset']);
      await node.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
      rmSync(dataDir, { recursive: true, force: true });
    },
    async stop() {
      await end();
      for (const actor of [...Object.values(actors), ...others.map((each) => each.actor)]) actor.stop();
      await container.remove();
      await hosts.remove();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Of the same number as its IPv4 address. */
function ipv6Of({ address }: Host): string {
  return `fd00:213::${address.split('.').pop() ?? ''}`;
}

/** A namespace on a bridge of the node, as an engine would make it. Removed with the leftovers of test hosts, should this process die. */
async function addContainer(node: Host): Promise<{ readonly host: Pick<Host, 'spawn'>; remove(): Promise<void> }> {
  const name = `${node.namespace.split('/').pop() ?? ''}-container`;
  const inside = ['-n', name];
  await run('ip', ['netns', 'add', name]);
  await run('ip', [...inside, 'link', 'set', 'lo', 'up']);
  await node.run('ip', ['link', 'add', 'docker0', 'type', 'bridge']);
  await node.run('ip', ['address', 'add', '172.30.0.1/24', 'dev', 'docker0']);
  await node.run('ip', ['link', 'set', 'docker0', 'up']);
  await node.run('ip', ['link', 'add', 'to-c', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
  await node.run('ip', ['link', 'set', 'to-c', 'master', 'docker0', 'up']);
  await run('ip', [...inside, 'address', 'add', `${CONTAINER.address}/24`, 'dev', 'eth0']);
  await run('ip', [...inside, 'link', 'set', 'eth0', 'up']);
  await run('ip', [...inside, 'route', 'add', 'default', 'via', '172.30.0.1']);
  return {
    host: { spawn: (command, args, options = {}) => spawn('nsenter', [`--net=/run/netns/${name}`, command, ...args], options) },
    remove: async () => {
      await run('ip', ['netns', 'delete', name]);
    },
  };
}
