// The parts of a development cluster that have ended, and what outlives them, in words.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type ProcessId } from '../../lib/process-id.ts';
import type { DevCluster, DevLayout, DevProcess } from './layout.ts';

/** What has ended and the way out, "manager has ended (see LOG): ..."; undefined: everything runs. */
export function stoppedParts({ processes }: Pick<DevCluster, 'processes'>): string | undefined {
  const dead = processes.filter((process) => !isAlive(process));
  if (dead.length === 0) return undefined;
  const [have, them] = dead.length === 1 ? ['has', 'it'] : ['have', 'them'];
  const names = dead.map(({ name, logFile }) => `${name} (see ${logFile})`).join(', ');
  return `${names} ${have} ended. \`npx shoal dev restart\` starts ${them} again, \`npx shoal dev down\` stops everything`;
}

/** Addresses of nodes whose mesh outlives its agent, and may hold published ports. */
export function addressesOfMeshes(layout: DevLayout, { nodes }: DevCluster): ReadonlySet<string> {
  return new Set(nodes.filter(({ hostname }) => hasMesh(layout, hostname)).map(({ address }) => address));
}

/** "manager, node-1" */
export function namesOf(parts: readonly Pick<DevProcess, 'name'>[]): string {
  return parts.map(({ name }) => name).join(', ');
}

/** "1 process" */
export function processesText(count: number): string {
  return count === 1 ? '1 process' : `${count} processes`;
}

/** As its agent has noted it. */
function hasMesh(layout: DevLayout, hostname: string): boolean {
  try {
    return isAlive(JSON.parse(readFileSync(join(layout.node(hostname), 'mesh', 'process.json'), 'utf8')) as ProcessId);
  } catch {
    return false;
  }
}
