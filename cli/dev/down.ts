// Stops a development cluster, also one whose parts were killed: agents first (they end their tasks and mesh), then manager and store.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Clock } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { isAlive } from '../../lib/process-id.ts';
import { type DevCluster, type DevLayout, type DevNode, type DevProcess, readCluster, removeAll } from './layout.ts';
import { stopProcesses } from './processes.ts';
import { agentArgs } from './roles.ts';

const run = promisify(execFile);

/** Tasks get their stop grace period (10 s unless the service says otherwise), and a little more. */
const AGENT_STOP_MS = 20_000;
const STOP_MS = 5000;

/**
 * Resolves to how many processes were stopped; undefined where there was no cluster. When `hurry` aborts, nobody gets time to end any more:
 * the parts are killed, and then what they left.
 */
export async function stopCluster(layout: DevLayout, clock: Clock, hurry: AbortSignal): Promise<number | undefined> {
  const cluster = readCluster(layout);
  if (cluster === undefined) return undefined;
  const of = (role: string) => cluster.processes.filter((process) => process.role === role);
  const orphaned = cluster.nodes.filter((node) => !of('agent').some((agent) => agent.name === node.hostname && isAlive(agent)));
  let stopped = await stopParts(of('agent'), clock, hurry);
  if (!hurry.aborted) await Promise.all(orphaned.map((node) => purgeNode(layout, cluster, node, hurry)));
  stopped += await stopParts([...of('manager'), ...of('etcd')], clock, hurry);
  if (hurry.aborted) await Promise.all(cluster.nodes.map((node) => purgeNode(layout, cluster, node, hurry)));
  removeAll(layout);
  return stopped;
}

/** In the order in which they need each other, agents first. Resolves to how many were running. */
export async function stopParts(parts: readonly DevProcess[], clock: Clock, hurry: AbortSignal): Promise<number> {
  let stopped = 0;
  for (const role of ['agent', 'manager', 'etcd']) {
    const own = parts.filter((part) => part.role === role);
    stopped += await stopProcesses(own, role === 'agent' ? AGENT_STOP_MS : STOP_MS, clock, hurry);
  }
  return stopped;
}

/** What an agent that was killed left running is found and stopped by another one on its data. */
async function purgeNode(layout: DevLayout, cluster: DevCluster, node: DevNode, hurry: AbortSignal): Promise<void> {
  const settings = { manager: cluster.managers[0] ?? '', runtime: cluster.runtime, dockerSocket: cluster.dockerSocket };
  const isKill = hurry.aborted;
  const args = [...agentArgs(layout, node, settings), '--purge', ...(isKill ? ['--kill'] : [])];
  try {
    await run(process.execPath, args, { timeout: AGENT_STOP_MS, killSignal: 'SIGKILL', ...(isKill ? {} : { signal: hurry }) });
  } catch (error) {
    // Another one follows, which kills.
    if (hurry.aborted && !isKill) return;
    throw new ShoalError('unavailable', `what ${node.hostname} left running could not be stopped: ${messageOf(error)}`, { cause: error });
  }
}
