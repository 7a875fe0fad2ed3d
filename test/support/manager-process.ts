// A manager as a process of its own, from the build: what it writes, how it ends, signals, and the CLI against it.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SHOAL } from './cluster.ts';
import { freePort, ownLoopback } from './sockets.ts';
import { until } from './until.ts';

export interface ManagerProcess {
  readonly address: string;
  readonly healthUrl: string;
  readonly pid: number;
  readonly dataDir: string;
  /** What it logged, one object per line; lines that are not JSON as `{ message }`. */
  lines(): readonly ManagerLine[];
  /** All that it wrote. */
  output(): string;
  /** Body and status of /readyz; undefined: nobody answers. */
  readyz(): Promise<{ readonly status: number; readonly body: string } | undefined>;
  untilReady(deadlineMs?: number): Promise<void>;
  /** Undefined while it runs; a signal's name where one ended it. */
  exit(): number | string | undefined;
  untilExit(deadlineMs?: number): Promise<number | string>;
  signal(name: NodeJS.Signals): void;
  /** Resident memory; 0 where the system does not tell. */
  rssBytes(): Promise<number>;
  /** The CLI against this manager. */
  shoal(...args: readonly string[]): Promise<CliResult>;
  /** Kills it and removes its folder. */
  remove(): Promise<void>;
}

export interface ManagerLine {
  readonly level?: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ManagerProcessOptions {
  readonly args?: readonly string[];
  readonly etcdUrl?: string;
  /** Unless given, a new one, removed with the process. */
  readonly dataDir?: string;
  /** host:port; unless given, a free one on this process's own loopback address. */
  readonly listen?: string;
}

const READY_MS = 30_000;
const EXIT_MS = 20_000;
const CLI_MS = 30_000;

export async function startManagerProcess(options: ManagerProcessOptions = {}): Promise<ManagerProcess> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'shoal-manager-'));
  const address = options.listen ?? `${ownLoopback()}:${await freePort()}`;
  const health = `${ownLoopback()}:${await freePort()}`;
  const args = [
    ...[SHOAL, 'manager', '--data-dir', dataDir, '--listen', address, '--health-addr', health, '--log-format', 'json'],
    ...(options.etcdUrl === undefined ? [] : ['--etcd', options.etcdUrl]),
    ...(options.args ?? []),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collect(child);
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  child.once('exit', () => process.off('exit', onExit));

  const exit = (): number | string | undefined => child.exitCode ?? child.signalCode ?? undefined;
  const manager: ManagerProcess = {
    address,
    healthUrl: `http://${health}`,
    pid: child.pid ?? 0,
    dataDir,
    output,
    lines: () =>
      output()
        .split('\n')
        .filter((line) => line !== '')
        .map(parseLine),
    async readyz() {
      try {
        const response = await fetch(`http://${health}/readyz`, { signal: AbortSignal.timeout(2000) });
        return { status: response.status, body: await response.text() };
      } catch {
        return undefined;
      }
    },
    untilReady: (deadlineMs = READY_MS) =>
      until(
        async () => {
          if (exit() !== undefined) throw new Error(`it ended with ${String(exit())}`);
          return (await manager.readyz())?.status === 200;
        },
        () => `the manager is ready; it wrote: ${output().slice(-2000)}`,
        deadlineMs,
      ),
    exit,
    async untilExit(deadlineMs = EXIT_MS) {
      await until(
        () => exit() !== undefined,
        () => `the manager ends; it wrote: ${output().slice(-2000)}`,
        deadlineMs,
      );
      return exit() ?? '';
    },
    signal: (name) => void child.kill(name),
    rssBytes: () => rssOf(child.pid ?? 0),
    shoal: (...verb) => runShoal(['--host', address, ...verb]),
    async remove() {
      child.kill('SIGKILL');
      await manager.untilExit();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return manager;
}

/** Ended with SIGKILL, so with the code null, where it takes too long. */
export async function runShoal(args: readonly string[]): Promise<CliResult> {
  const child = spawn(process.execPath, [SHOAL, ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: CLI_MS, killSignal: 'SIGKILL' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

function parseLine(line: string): ManagerLine {
  try {
    return JSON.parse(line) as ManagerLine;
  } catch {
    return { message: line };
  }
}

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
