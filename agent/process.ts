// What the agent's process does with signals and with its own failures.
import { createLogger } from '../lib/log.ts';
import { runAgent } from './main.ts';
import type { AgentSettings } from './options.ts';

export async function agentProcess(settings: AgentSettings): Promise<void> {
  const die = (error: unknown): void => {
    const log = createLogger({ role: 'agent', level: 'error', format: settings.logFormat });
    log.error('the agent has failed and ends; tasks and mesh go on, start it again', {
      error,
      stack: error instanceof Error ? error.stack : '',
    });
    // The line goes out before the end.
    setImmediate(() => process.exit(1));
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      // The second one means it.
      if (ending.signal.aborted) process.exit(1);
      ending.abort();
    });
  }
  await runAgent(settings, { signal: ending.signal });
  // Streams that a peer keeps half open must not hold the process.
  process.exit(0);
}
