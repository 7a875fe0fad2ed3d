// A real cluster over test hosts: etcd and a manager on the first host, an engine and an agent with its mesh on each, and a client host beside.
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEngine, type TestEngine } from './engine.ts';
import { createHosts, type Host, type Hosts } from './hosts.ts';
import { until } from './until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What users run; `npm test` has built it. */
export const SHOAL = join(ROOT, 'dist', 'cli', 'main.js');

const EXIT_DEADLINE_MS = 15_000;

/** One of the cluster's processes on one host. */
export interface Part {
  readonly name: string;
  readonly host: Host;
  readonly pid: number;
  log(): string;
  /** Resolves when it is gone. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** The same command line again. */
  restart(): void;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestCluster {
  readonly hosts: readonly Host[];
  /** Runs nothing of the cluster. */
  readonly client: Host;
  readonly engines: readonly TestEngine[];
  readonly etcd: Part | undefined;
  readonly manager: Part;
  readonly agents: readonly Part[];
  readonly folder: string;
  /** The CLI on the client host, against the manager. Never rejects for an exit code. */
  shoal(...args: readonly string[]): Promise<CommandResult>;
  /** The CLI with --format json, parsed line by line. */
  list(...args: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]>;
  /** Data folder of the agent on that host (by index). */
  agentFolder(index: number): string;
  /** kill -9 of the mesh process of that host (by index), if it runs. */
  killMesh(index: number): Promise<void>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly nodes: number;
  readonly store: 'etcd' | 'embedded';
}

export async function startCluster({ nodes, store }: ClusterOptions): Promise<TestCluster> {
  const folder = mkdtempSync('/tmp/shoal-e2e-');
  const cleanUp: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of cleanUp.toReversed()) await step().catch((error: unknown) => process.stderr.write(`clean-up: ${String(error)}\n`));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return await assemble(folder, nodes, store, cleanUp, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(
  folder: string,
  nodes: number,
  store: 'etcd' | 'embedded',
  cleanUp: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<TestCluster> {
  const network: Hosts = await createHosts(nodes + 1);
  cleanUp.push(() => network.remove());
  const hosts = network.list.slice(0, nodes);
  const [first] = hosts;
  const client = network.list[nodes];
  if (first === undefined || client === undefined) throw new Error('at least one node');
  const engines = await Promise.all(hosts.map((host) => startEngine({ directory: join(folder, host.name), netns: host.namespace })));
  cleanUp.push(async () => {
    await Promise.all(engines.map((engine) => engine.stop()));
  });
  const part = (name: string, host: Host, command: string, args: readonly string[]): Part => {
    const started = startPart(folder, name, host, command, args);
    cleanUp.push(() => started.signal('SIGKILL'));
    return started;
  };
  const etcdUrl = `http://${first.address}:2379`;
  const etcd = store === 'etcd' ? part('etcd', first, 'etcd', etcdArgs(join(folder, 'etcd'), first.address)) : undefined;
  const managerAddress = `${first.address}:7420`;
  const shoalPart = (name: string, host: Host, args: readonly string[]): Part => part(name, host, process.execPath, [SHOAL, ...args]);
  const manager = shoalPart('manager', first, [
    'manager',
    ...['--data-dir', join(folder, 'manager'), '--listen', managerAddress, '--insecure', '--health-addr', '127.0.0.1:7421'],
    ...(store === 'etcd' ? ['--etcd', etcdUrl] : []),
  ]);
  const agentFolder = (index: number): string => join(folder, `agent-${index + 1}`);
  const killMesh = (index: number): Promise<void> => stopMesh(client, agentFolder(index));
  // Before the agents in this list, so after their end: a living agent would start its mesh again.
  cleanUp.push(async () => {
    await Promise.all(hosts.map((_, index) => killMesh(index)));
  });
  const agents = hosts.map((host, index) =>
    shoalPart(`agent-${host.name}`, host, [
      'agent',
      ...['--manager', managerAddress, '--data-addr', host.address, '--hostname', host.name, '--data-dir', agentFolder(index)],
      ...['--docker-host', `unix://${engines[index]?.socketPath ?? ''}`, '--health-addr', '127.0.0.1:7422'],
    ]),
  );
  const shoal = (...args: readonly string[]): Promise<CommandResult> =>
    runToEnd(client, process.execPath, [SHOAL, '--host', managerAddress, ...withoutVerifying(args)]);
  const cluster: TestCluster = {
    hosts,
    client,
    engines,
    etcd,
    manager,
    agents,
    folder,
    shoal,
    list: async (...args) => parseLines(await shoal(...args, '--format', 'json')),
    agentFolder,
    killMesh,
    stop,
  };
  await until(
    async () => (await cluster.list('node', 'ls')).filter((node) => node['Status'] === 'Ready').length === nodes,
    () => `all nodes ready\n${[manager, ...agents].map((each) => `${each.name}:\n${each.log().slice(-1500)}`).join('\n')}`,
    30_000,
  );
  return cluster;
}

/** Tests look themselves: a change is over once the count is right, unless they say otherwise. */
function withoutVerifying(args: readonly string[]): readonly string[] {
  const [noun = '', verb = '', ...rest] = args;
  const waits = noun === 'service' && ['create', 'update', 'scale', 'rollback'].includes(verb);
  return waits && !rest.includes('--verify') ? [noun, verb, '--verify', '0s', ...rest] : args;
}

function etcdArgs(dataDir: string, address: string): readonly string[] {
  const client = `http://${address}:2379`;
  const peer = `http://${address}:2380`;
  const listen = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer];
  return ['--name', 'e1', '--data-dir', dataDir, ...listen, '--initial-advertise-peer-urls', peer, '--initial-cluster', `e1=${peer}`];
}

function startPart(folder: string, name: string, host: Host, command: string, args: readonly string[]): Part {
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, `${name}.log`);
  const launch = (): ChildProcess => {
    const output = openSync(logFile, 'a');
    return host.spawn(command, args, { stdio: ['ignore', output, output] });
  };
  let child = launch();
  const gone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    name,
    host,
    get pid() {
      return child.pid ?? 0;
    },
    log: () => readFileSync(logFile, 'utf8'),
    async signal(signal) {
      if (gone()) return;
      child.kill(signal);
      if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
      await until(gone, `the end of ${name}`, EXIT_DEADLINE_MS);
    },
    restart() {
      child = launch();
    },
  };
}

/** The mesh outlives its agent on purpose; here it is ended by asking the system which process holds the folder. */
async function stopMesh(host: Host, agentFolder: string): Promise<void> {
  await host.run('pkill', ['-KILL', '-f', `mesh --data-dir ${agentFolder}/mesh`]).catch(() => undefined);
}

export function runToEnd(host: Host, command: string, args: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = host.spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    child.stdout?.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code: code ?? -1, ...output });
    });
  });
}

function parseLines({ code, stdout, stderr }: CommandResult): readonly Readonly<Record<string, string>>[] {
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, string>>);
}
