// What a long-lived process does with signals and with its own failures.
import { createLogger, type LogOptions } from './log.ts';

/**
 * Runs `work` until it ends; the first SIGTERM or SIGINT aborts its signal, a second one ends the process. A failure that nobody
 * caught is logged and ends it with code 1, for whoever supervises it to start it again. `onFailure`: what goes on meanwhile.
 */
export async function runDaemon(log: LogOptions, onFailure: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const die = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : '';
    createLogger(log).error(`the ${log.role} has failed and ends; ${onFailure}`, { error, stack });
    // The line goes out before the end.
    setImmediate(() => process.exit(1));
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (ending.signal.aborted) process.exit(1);
      ending.abort();
    });
  }
  await work(ending.signal);
  // Streams that a peer keeps half open must not hold the process.
  process.exit(0);
}
