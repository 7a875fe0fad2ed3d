// Starts parts of a development cluster again, on the data that they left: tasks and mesh of a node that was killed are adopted.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { isAlive } from '../../lib/process-id.ts';
import { suggest } from '../../lib/suggest.ts';
import type { Shell } from '../shell.ts';
import { stopParts } from './down.ts';
import { type DevCluster, type DevLayout, type DevProcess, requireCluster, writeCluster } from './layout.ts';
import { namesOf } from './parts.ts';
import { requireFree } from './ports.ts';
import { launch } from './processes.ts';
import { say } from './say.ts';
import { nodesReady } from './up.ts';

/**
 * `names` empty: those that have ended. Of those named, the ones that run are stopped first. Resolves to what was started, once it answers; the
 * others are not touched. Rejects with `invalid_argument` for a name that is no part's, `failed_precondition` where a part lacks another one.
 */
export async function restartParts(
  layout: DevLayout,
  names: readonly string[],
  shell: Shell,
  signal: AbortSignal,
): Promise<readonly DevProcess[]> {
  const before = requireCluster(layout);
  refuseUnknown(before, names);
  const chosen = before.processes.filter((process) => (names.length === 0 ? !isAlive(process) : names.includes(process.name)));
  if (chosen.length === 0) return [];
  refuseWithoutOthers(before, chosen);
  const living = chosen.filter(isAlive);
  const manager = chosen.find(({ role }) => role === 'manager');
  // Nothing is stopped for what could not start. What the manager itself holds is free afterwards.
  if (manager !== undefined && !living.includes(manager)) await requireManagerPort(before);
  if (living.length > 0) say(shell, `stopping ${namesOf(living)}...`);
  await stopParts(living, shell, signal);
  if (manager !== undefined) await requireManagerPort(before);
  say(shell, `starting ${namesOf(chosen)}...`);
  let cluster = before;
  const started = chosen.map((process) => {
    const again = launch(layout, process);
    cluster = { ...cluster, processes: cluster.processes.map((other) => (other.name === again.name ? again : other)) };
    writeCluster(layout, cluster);
    return again;
  });
  const nodes = cluster.nodes.filter(({ hostname }) => started.some(({ name }) => name === hostname));
  await nodesReady(cluster, started, nodes, shell, signal);
  return started;
}

function refuseUnknown({ processes }: DevCluster, names: readonly string[]): void {
  const known = processes.map(({ name }) => name);
  const problems = names
    .filter((name) => !known.includes(name))
    .map((name): FieldProblem => {
      const near = suggest(name, known);
      const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
      return { path: name, message: `is no part of this cluster, which has ${known.join(', ')}${hint}` };
    });
  if (problems.length > 0) throw ShoalError.invalid('nothing was restarted', problems);
}

/** A manager without its store, or a node without its manager, would never be ready. */
function refuseWithoutOthers({ processes }: DevCluster, chosen: readonly DevProcess[]): void {
  const missing = processes.filter(
    (other) =>
      !isAlive(other) &&
      !chosen.includes(other) &&
      chosen.some(({ role }) => other.role === 'etcd' || (other.role === 'manager' && role === 'agent')),
  );
  if (missing.length === 0) return;
  const names = [...missing, ...chosen].map(({ name }) => name).join(' ');
  throw new ShoalError(
    'failed_precondition',
    `${namesOf(missing)} ${missing.length === 1 ? 'has' : 'have'} ended, and ${namesOf(chosen)} cannot go without: \`npx shoal dev restart ${names}\``,
  );
}

async function requireManagerPort({ managers: [address = ''] }: DevCluster): Promise<void> {
  const at = address.lastIndexOf(':');
  const wayOut = 'free it and run this again (the nodes look for their manager there), or start anew with `npx shoal dev down`';
  await requireFree([{ host: address.slice(0, at), port: Number(address.slice(at + 1)), wayOut }]);
}
