// Starts the parts of a development cluster as processes of their own sessions, and stops them by pid.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, sleep } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { isAlive, type ProcessId, processId, signalProcess } from '../../lib/process-id.ts';
import type { DevLayout, DevProcess } from './layout.ts';

const POLL_MS = 25;
/** For processes that were killed to be gone. */
const KILLED_MS = 2000;
const LOG_TAIL_LINES = 5;

export type Launch = Pick<DevProcess, 'name' | 'role' | 'command' | 'args'>;

/** Started detached, so that Ctrl-C reaches only `shoal dev`, which then stops the parts in order. */
export function launch(layout: DevLayout, { name, role, command, args }: Launch): DevProcess {
  const logFile = join(layout.logs, `${name}.log`);
  const log = openSync(logFile, 'a');
  try {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log] });
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new ShoalError('unavailable', `cannot start ${name}: ${command} cannot be run`);
    child.unref();
    return { name, role, logFile, command, args, ...processId(child.pid) };
  } finally {
    closeSync(log);
  }
}

export interface Stopped<P extends ProcessId> {
  /** How many were running. */
  readonly running: number;
  /** Those of them that did not end by themselves. */
  readonly killed: readonly P[];
}

/** Signals all and waits for them; what is left after `deadlineMs`, or when `hurry` aborts, is killed. */
export async function stopProcesses<P extends ProcessId>(
  processes: readonly P[],
  deadlineMs: number,
  clock: Clock,
  hurry: AbortSignal,
): Promise<Stopped<P>> {
  const running = processes.filter((process) => signalProcess(process, 'SIGTERM'));
  const endMs = clock.nowMs() + deadlineMs;
  while (running.some(isAlive) && !hurry.aborted && clock.nowMs() <= endMs) await sleep(clock, POLL_MS);
  const killed = running.filter(isAlive);
  await killProcesses(killed, clock);
  return { running: running.length, killed };
}

/** Resolves, when they are gone or cannot be killed, to how many there were. */
export async function killProcesses(processes: readonly ProcessId[], clock: Clock): Promise<number> {
  const killed = processes.filter((process) => signalProcess(process, 'SIGKILL'));
  const endMs = clock.nowMs() + KILLED_MS;
  while (killed.some(isAlive) && clock.nowMs() <= endMs) await sleep(clock, POLL_MS);
  return killed.length;
}

/** Repeats `attempt` until it gives something; fails with the end of its log when one of `processes`, which are not empty, has died, or after the deadline. */
export async function untilUp<T>(
  processes: readonly DevProcess[],
  what: string,
  deadlineMs: number,
  clock: Clock,
  signal: AbortSignal,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = clock.nowMs() + deadlineMs;
  for (;;) {
    const result = await attempt();
    const dead = processes.find((process) => !isAlive(process));
    if (dead !== undefined)
      throw new ShoalError('unavailable', `${dead.name} ended while waiting for ${what}; see ${dead.logFile}:\n${logTail(dead)}`);
    if (result !== undefined) return result;
    if (clock.nowMs() > endMs) {
      const [first] = processes;
      const tail = first === undefined ? '' : `; see ${first.logFile}:\n${logTail(first)}`;
      throw new ShoalError('deadline_exceeded', `waited ${deadlineMs / 1000} s in vain for ${what}${tail}`);
    }
    await sleep(clock, POLL_MS, signal);
  }
}

function logTail(process: DevProcess): string {
  const lines = readFileSync(process.logFile, 'utf8').trimEnd().split('\n');
  return lines.slice(-LOG_TAIL_LINES).join('\n');
}
