// Tells whether a process noted down earlier still runs, though its number may belong to another process by now.
import { readFile } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Linux: boot id and start time of the process, which no other process shares. Elsewhere empty. */
  readonly start: string;
}

interface ProcessState {
  readonly start: string;
  /** Ended, but its parent has not asked for its exit code yet. */
  readonly ended: boolean;
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  return { pid: process.pid, start: (await stateOf(process.pid))?.start ?? '' };
}

export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return false;
  }
  const state = await stateOf(identity.pid);
  if (state === undefined) return true;
  return !state.ended && (identity.start === '' || identity.start === state.start);
}

/** Undefined where the system has no /proc. */
async function stateOf(pid: number): Promise<ProcessState | undefined> {
  try {
    const [bootId, stat] = await Promise.all([readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readFile(`/proc/${pid}/stat`, 'utf8')]);
    // The name in parentheses may hold anything; behind it come the state and, as the 20th field, the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { start: `${bootId.trim()}/${fields[19] ?? ''}`, ended: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return undefined;
  }
}
