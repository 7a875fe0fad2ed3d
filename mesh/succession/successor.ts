// Starts the process that is to take this mesh's place, with its listening sockets and a line between the two.
import { spawn } from 'node:child_process';
import { type Socket } from 'node:net';
import { type Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { type OpenSocket } from '../sockets/book.ts';
import { LINE_FD, passingOn } from '../sockets/passing.ts';

export interface Successor {
  /** The new process speaks on it as an agent does, from its hello on, which it says when it serves. */
  readonly line: Socket;
  /** It has said it: from now on its end is no failure of the hand-over. */
  arrived(): void;
}

export interface SuccessorOptions {
  readonly clock: Clock;
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly sockets: readonly OpenSocket[];
  /** It did not come to serve, and is gone. */
  readonly onFailure: (error: ShoalError) => void;
}

/** To load, and to open what it was given. */
const ARRIVAL_MS = 15_000;

/** Its output goes where this process's goes. Throws where it cannot be started. */
export function startSuccessor({ clock, command, sockets, onFailure }: SuccessorOptions): Successor {
  const [program, ...args] = command;
  if (program === undefined) throw new ShoalError('invalid_argument', 'no command to hand over to');
  const { fds, env } = passingOn(sockets, true);
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...fds],
    env: { ...process.env, ...env },
  });
  child.unref();
  let settled = false;
  const fail = (why: string): void => {
    if (settled) return;
    settled = true;
    timer.cancel();
    child.kill('SIGKILL');
    onFailure(new ShoalError('unavailable', `the mesh that was to take over ${why}; this one goes on`));
  };
  const timer = clock.after(
    ARRIVAL_MS,
    () => {
      fail(`did not serve within ${String(ARRIVAL_MS / 1000)} s`);
    },
    true,
  );
  child.on('error', (error) => {
    fail(`cannot be started: ${error.message}`);
  });
  child.on('exit', (code, signal) => {
    fail(`ended at once (${signal ?? String(code)})`);
  });
  return {
    line: (child.stdio as readonly unknown[])[LINE_FD] as Socket,
    arrived: () => {
      settled = true;
      timer.cancel();
    },
  };
}
