// The mesh as a process of its own: in its own session, so that nothing that ends the agent ends it, with its output in a file of bounded size.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { sleep } from '../../lib/clock.ts';
import { readIfThere } from '../../lib/durable-file.ts';
import { isAlive, processId, type ProcessId, signalProcess } from '../../lib/process-id.ts';

/** Starts a mesh and returns who it is. Throws where it cannot be started. */
export type LaunchMesh = () => ProcessId;

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

export function meshLauncher(line: MeshCommandLine): LaunchMesh {
  const [program, ...before] = line.command;
  const args = [...before, 'mesh', '--data-dir', line.dataDir, '--node-id', line.nodeId];
  for (const address of line.listen) args.push('--listen', address);
  if (line.portOffset > 0) args.push('--port-offset', String(line.portOffset));
  if (line.healthAddress !== undefined) args.push('--health-addr', line.healthAddress);
  args.push('--log-level', line.logLevel, '--log-format', 'json');
  return () => {
    mkdirSync(line.dataDir, { recursive: true, mode: 0o700 });
    const log = openLog(join(line.dataDir, LOG_FILE));
    try {
      const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
      // A program that cannot be run is noticed as a mesh that is not there.
      child.on('error', () => undefined);
      child.unref();
      const id = processId(child.pid ?? 0);
      writeFileSync(join(line.dataDir, PROCESS_FILE), JSON.stringify(id));
      return id;
    } finally {
      closeSync(log);
    }
  };
}

/** The mesh that an earlier agent started here, whether or not it still runs. */
export function launchedBefore(dataDir: string): ProcessId | undefined {
  try {
    const { pid, startTime } = JSON.parse(readIfThere(join(dataDir, PROCESS_FILE))?.toString() ?? '') as Partial<ProcessId>;
    return typeof pid === 'number' && typeof startTime === 'string' ? { pid, startTime } : undefined;
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
