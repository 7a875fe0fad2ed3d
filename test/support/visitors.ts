// A load of short connections from this process: each waits for a first byte and leaves; what goes wrong is kept by its code.
import { connect } from 'node:net';

export interface Visitors {
  /** "ECONNREFUSED", or "closed" where a connection ended without a byte. */
  readonly failures: readonly string[];
  readonly answers: number;
  /** Resolves when the last one has left. */
  stop(): Promise<void>;
}

/** `atOnce` of them, one after another. The port's service speaks first. */
export function startVisitors(port: number, host: string, atOnce = 4): Visitors {
  const failures: string[] = [];
  let answers = 0;
  let stopped = false;
  const visit = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(port, host);
      const over = (failure?: string): void => {
        if (failure === undefined) answers++;
        else failures.push(failure);
        socket.removeAllListeners().on('error', () => undefined);
        socket.destroy();
        resolve();
      };
      socket.once('data', () => {
        over();
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        over(error.code);
      });
      socket.once('close', () => {
        over('closed');
      });
    });
  const visitor = async (): Promise<void> => {
    while (!stopped) await visit();
  };
  const all = Promise.all(Array.from({ length: atOnce }, visitor));
  return {
    failures,
    get answers() {
      return answers;
    },
    async stop() {
      stopped = true;
      await all;
    },
  };
}
