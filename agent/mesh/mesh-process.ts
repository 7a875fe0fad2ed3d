// The mesh as a process of its own: in its own session, so that nothing that ends the agent ends it, with its output in a file of bounded size.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { sleep } from '../../lib/clock.ts';
import { readIfThere } from '../../lib/durable-file.ts';
import { isAlive, processId, type ProcessId, signalGroup, signalProcess } from '../../lib/process-id.ts';
import { VERSION } from '../../lib/version.ts';

export interface MeshLauncher {
  /** Starts a mesh, where there is one with the sockets of the last, and returns who it is. Throws where it cannot be started. */
  start(): ProcessId;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** The same for meshes of the same program with the same flags. */
  readonly build: string;
}

/** On disk: of the mesh that runs here, whoever started it. */
export interface MeshRecord extends ProcessId {
  /** Unset: an earlier version has started it. */
  readonly build?: string | undefined;
  /** Those that have handed over to it and may still have connections. */
  readonly earlier?: readonly ProcessId[];
}

export interface MeshCommandLine {
  /** The program and what comes before the verb: node and the entry script. */
  readonly command: readonly [string, ...string[]];
  readonly dataDir: string;
  readonly nodeId: string;
  readonly listen: readonly string[];
  readonly portOffset: number;
  readonly healthAddress: string | undefined;
  readonly logLevel: string;
}

/** A mesh that logs more than this between two starts is a fault of its own; it writes little. */
const MAX_LOG_BYTES = 10 * 2 ** 20;
const LOG_FILE = 'mesh.log';
const PROCESS_FILE = 'process.json';
/** Written by the mesh: who keeps its listening sockets, to become the next mesh on SIGUSR1. */
const HOLDER_FILE = 'holder.json';

export function meshLauncher(line: MeshCommandLine): MeshLauncher {
  const [program, ...before] = line.command;
  const args = [...before, 'mesh', '--data-dir', line.dataDir, '--node-id', line.nodeId];
  for (const address of line.listen) args.push('--listen', address);
  if (line.portOffset > 0) args.push('--port-offset', String(line.portOffset));
  if (line.healthAddress !== undefined) args.push('--health-addr', line.healthAddress);
  args.push('--log-level', line.logLevel, '--log-format', 'json');
  const build = buildOf(program, before, args);
  const spawnMesh = (): ProcessId => {
    mkdirSync(line.dataDir, { recursive: true, mode: 0o700 });
    const log = openLog(join(line.dataDir, LOG_FILE));
    try {
      const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
      // A program that cannot be run is noticed as a mesh that is not there.
      child.on('error', () => undefined);
      child.unref();
      return processId(child.pid ?? 0);
    } finally {
      closeSync(log);
    }
  };
  return {
    command: [program, ...args],
    build,
    start() {
      const { earlier } = readRecord(line.dataDir) ?? {};
      const held = takeHolder(line.dataDir);
      const holder = held !== undefined && signalProcess(held, 'SIGUSR1') ? held : undefined;
      const id = holder ?? spawnMesh();
      // What a holder becomes is what the mesh before was.
      const itsBuild = holder === undefined ? build : readRecord(line.dataDir)?.build;
      writeRecord(line.dataDir, { ...id, build: itsBuild, ...(earlier === undefined ? {} : { earlier }) });
      return id;
    },
  };
}

/** A newer program under the same name is another build, too. */
function buildOf(program: string, before: readonly string[], args: readonly string[]): string {
  const changed = [program, ...before].map((word) => statSync(word, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return JSON.stringify([VERSION, program, ...args, ...changed]);
}

/** The mesh that an earlier agent started here, whether or not it still runs. */
export function launchedBefore(dataDir: string): ProcessId | undefined {
  const record = readRecord(dataDir);
  return record === undefined ? undefined : { pid: record.pid, startTime: record.startTime };
}

export function readRecord(dataDir: string): MeshRecord | undefined {
  return readProcess(join(dataDir, PROCESS_FILE));
}

export function writeRecord(dataDir: string, record: MeshRecord): void {
  writeFileSync(join(dataDir, PROCESS_FILE), JSON.stringify(record));
}

/** Ends all that is left of the meshes of this folder: those that have handed over, and whoever keeps sockets. The mesh itself is gone. */
export async function endRemains(dataDir: string, clock: Clock): Promise<void> {
  endHolder(dataDir);
  for (const id of readRecord(dataDir)?.earlier ?? []) await endProcess(id, 0, clock);
}

/** Nobody starts the mesh again after its next end. */
export function endHolder(dataDir: string): void {
  const holder = takeHolder(dataDir);
  if (holder !== undefined) signalGroup(holder, 'SIGKILL');
}

/** Asked once. */
function takeHolder(dataDir: string): ProcessId | undefined {
  const path = join(dataDir, HOLDER_FILE);
  const holder = readProcess(path);
  rmSync(path, { force: true });
  return holder;
}

function readProcess(path: string): MeshRecord | undefined {
  try {
    const record = JSON.parse(readIfThere(path)?.toString() ?? '') as Partial<MeshRecord>;
    const { pid, startTime } = record;
    return typeof pid === 'number' && typeof startTime === 'string' ? { ...record, pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}

/** Ends that very process, at first by SIGTERM, after `graceMs` by SIGKILL; resolves when it is gone, or cannot be ended. */
export async function endProcess(id: ProcessId, graceMs: number, clock: Clock): Promise<void> {
  if (graceMs > 0 && signalProcess(id, 'SIGTERM')) await gone(id, graceMs, clock);
  if (signalProcess(id, 'SIGKILL')) await gone(id, KILL_WAIT_MS, clock);
}

const KILL_WAIT_MS = 2000;
const LOOK_MS = 20;

/** It need not be our child, so there is no event: looked at often, for a short time. */
async function gone(id: ProcessId, deadlineMs: number, clock: Clock): Promise<void> {
  const until = clock.nowMs() + deadlineMs;
  while (isAlive(id) && clock.nowMs() < until) await sleep(clock, LOOK_MS);
}

function openLog(path: string): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}
