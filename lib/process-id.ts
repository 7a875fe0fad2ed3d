// Names a process so that a recycled pid is not taken for it: pid and the kernel's start time, valid within one boot.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { errnoOf } from './errors.ts';

export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot; empty where the system does not say. */
  readonly startTime: string;
}

export function processId(pid: number): ProcessId {
  return { pid, startTime: startTimeOf(pid) };
}

/** Whether that very process still runs; zombies do not. */
export function isAlive(id: ProcessId): boolean {
  if (id.pid <= 0) return false;
  try {
    process.kill(id.pid, 0);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return false;
  }
  const fields = statOf(id.pid);
  if (fields === undefined) return true;
  return fields[0] !== 'Z' && (id.startTime === '' || fields[19] === id.startTime);
}

/** Sends `signal` to that very process; false where it is gone. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    return process.kill(id.pid, signal);
  } catch {
    return false;
  }
}

/** Sends `signal` to that process and all of the process group that it leads; false where it is gone. */
export function signalGroup(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    return process.kill(-id.pid, signal);
  } catch {
    return false;
  }
}

/** The kernel's boot id; where the system has none, one that stays the same: a restarted process then counts as of the same boot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return `unknown-${hostname()}`;
  }
}

function startTimeOf(pid: number): string {
  return statOf(pid)?.[19] ?? '';
}

/** Fields of /proc/PID/stat from the third (the state) on: the second holds the name, which may have spaces. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
