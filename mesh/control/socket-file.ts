// The mesh's socket file (DATA/mesh.sock) is also its lock: whoever answers on it owns the data directory. A file that nobody answers on is a leftover.
import { rename, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { type Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf, ShoalError } from '../../lib/errors.ts';

const ATTEMPTS = 5;
const ANSWER_TIMEOUT_MS = 2000;

/** Makes `server` listen on `path`, readable by this user only. Throws `failed_precondition` where another mesh answers there. */
export async function claimSocket(server: Server, path: string, clock: Clock): Promise<void> {
  const aside = `${path}.stale-${String(process.pid)}`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await answers(path, clock)) throw taken(path);
    if (await setAside(path, aside)) {
      // Between the look and the move another mesh may have replaced the leftover: then what was moved is alive and goes back.
      if (await answers(aside, clock)) {
        await rename(aside, path);
        throw taken(path);
      }
      await rm(aside, { force: true });
    }
    const error = await listen(server, path);
    if (error === undefined) return;
    if (errnoOf(error) !== 'EADDRINUSE') {
      throw new ShoalError('unavailable', `cannot open the mesh's socket ${path}: ${messageOf(error)}; check the data directory`, {
        cause: error,
      });
    }
  }
  throw new ShoalError(
    'failed_precondition',
    `cannot open the mesh's socket ${path}: other processes keep taking and leaving it; try again`,
  );
}

function taken(path: string): ShoalError {
  return new ShoalError('failed_precondition', `another mesh already runs and answers on ${path}; stop it, or choose another --data-dir`);
}

async function setAside(path: string, aside: string): Promise<boolean> {
  try {
    await rename(path, aside);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw new ShoalError('unavailable', `cannot replace the leftover socket ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function answers(path: string, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (alive: boolean): void => {
      timer.cancel();
      socket.destroy();
      resolve(alive);
    };
    // A Unix socket connects at once or not at all; one whose backlog is full belongs to somebody.
    const timer = clock.after(ANSWER_TIMEOUT_MS, () => {
      settle(true);
    });
    socket.on('connect', () => {
      settle(true);
    });
    socket.on('error', (error) => {
      settle(errnoOf(error) === 'EAGAIN');
    });
  });
}

function listen(server: Server, path: string): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const settle = (error?: Error): void => {
      server.off('error', settle);
      server.off('listening', onListening);
      resolve(error);
    };
    const onListening = (): void => {
      settle();
    };
    server.on('error', settle);
    server.on('listening', onListening);
    // The file is made inside listen(): nobody else may open it, not even for a moment.
    const before = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(before);
    }
  });
}
