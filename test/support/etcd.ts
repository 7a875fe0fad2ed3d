// A real etcd member of its own on loopback, with its data in a temporary directory.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ownLoopback } from './sockets.ts';
import { until } from './until.ts';

export interface TestEtcd {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Of the running process, for signals such as SIGSTOP. */
  readonly pid: number;
  /** With SIGKILL; the data stays. */
  kill(): Promise<void>;
  /** On the same port and data, after kill. */
  restart(): Promise<void>;
  /** Kills it and removes the data. */
  stop(): Promise<void>;
}

export interface TestEtcdOptions {
  /** More arguments for etcd, such as --quota-backend-bytes. */
  readonly args?: readonly string[];
}

export async function startEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const directory = await mkdtemp(join(tmpdir(), 'shoal-etcd-'));
  const host = ownLoopback();
  const port = await freePort(host);
  const peerPort = await freePort(host);
  const url = `http://${host}:${port}`;
  const peerUrl = `http://${host}:${peerPort}`;
  const args = [
    ...['--name', 'test', '--data-dir', directory, '--logger', 'zap', '--log-level', 'error'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `test=${peerUrl}`],
    ...(options.args ?? []),
  ];
  let child = await run(args, url);
  return {
    url,
    host,
    port,
    get pid() {
      return child.pid ?? 0;
    },
    kill: () => killed(child),
    async restart() {
      child = await run(args, url);
    },
    async stop() {
      await killed(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function run(args: readonly string[], url: string): Promise<ChildProcess> {
  const child = spawn('etcd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  // Not left behind by a test run that is ended.
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  child.once('exit', () => process.off('exit', onExit));
  try {
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`);
        const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) });
        return ((await response.json()) as { health?: string }).health === 'true';
      },
      () => `etcd is healthy at ${url}; it wrote: ${output}`,
      20_000,
    );
  } catch (error) {
    await killed(child);
    throw error;
  }
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
