// The agent as a process of its own.
import { runDaemon } from '../lib/daemon.ts';
import { runAgent } from './main.ts';
import type { AgentSettings } from './options.ts';

export async function agentProcess(settings: AgentSettings): Promise<void> {
  const log = { role: 'agent', level: settings.logLevel, format: settings.logFormat };
  await runDaemon(log, 'tasks and mesh go on, start it again', (signal) => runAgent(settings, { signal }));
}
