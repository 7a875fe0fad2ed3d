// Stops a development cluster, also one whose parts were killed: agents first (they end their tasks and mesh), then manager and store.
import { ShoalError } from '../../lib/errors.ts';
import { isAlive } from '../../lib/process-id.ts';
import type { Shell } from '../shell.ts';
import { type DevLayout, type DevProcess, removeAll } from './layout.ts';
import { clusterToStop } from './lost.ts';
import { namesOf } from './parts.ts';
import { killProcesses, stopProcesses, type Stopped } from './processes.ts';
import { purge } from './purge.ts';
import { type RunningProcess, runningProcesses, runningText } from './running.ts';
import { say } from './say.ts';

/** Tasks get their stop grace period (10 s unless the service says otherwise), and a little more. */
const AGENT_STOP_MS = 20_000;
const STOP_MS = 5000;

type Teller = Pick<Shell, 'clock' | 'err'>;

/**
 * Resolves to how many processes were stopped; undefined where there was no cluster. What does not stop in time is killed, and all of it at once when
 * `hurry` aborts. Throws `unavailable`, with the state kept, where something of it still runs then.
 */
export async function stopCluster(layout: DevLayout, shell: Teller, hurry: AbortSignal): Promise<number | undefined> {
  const cluster = clusterToStop(layout);
  if (cluster === undefined) return undefined;
  const of = (role: string) => cluster.processes.filter((process) => process.role === role);
  const living = of('agent').filter(isAlive);
  const dead = of('agent').filter((agent) => !living.includes(agent));
  if (dead.length > 0) say(shell, `stopping what ${namesOf(dead)} left running...`);
  const [agents, left] = await Promise.all([stopProcesses(living, AGENT_STOP_MS, shell.clock, hurry), purgeAll(dead, false, shell, hurry)]);
  const unclear = [...agents.killed, ...left.map(({ agent }) => agent)];
  if (unclear.length > 0 && !hurry.aborted)
    say(shell, `${namesOf(unclear)}: not stopped in ${AGENT_STOP_MS / 1000} s, killing what runs there`);
  const stuck = await purgeAll(unclear, true, shell, hurry);
  const others = await stopParts([...of('manager'), ...of('etcd')], shell, hurry);
  const unnamed = await killProcesses(
    runningProcesses(layout).filter(({ role }) => role !== 'task'),
    shell.clock,
  );
  refuseWhileItRuns(layout, stuck);
  removeAll(layout);
  return agents.running + others.running + unnamed;
}

/** In the order in which they need each other, agents first. */
export async function stopParts(
  parts: readonly DevProcess[],
  { clock }: Pick<Shell, 'clock'>,
  hurry: AbortSignal,
): Promise<Stopped<DevProcess>> {
  let running = 0;
  const killed: DevProcess[] = [];
  for (const role of ['agent', 'manager', 'etcd']) {
    const own = parts.filter((part) => part.role === role);
    const stopped = await stopProcesses(own, role === 'agent' ? AGENT_STOP_MS : STOP_MS, clock, hurry);
    running += stopped.running;
    killed.push(...stopped.killed);
  }
  return { running, killed };
}

interface Unpurged {
  readonly agent: DevProcess;
  readonly why: string;
}

async function purgeAll(agents: readonly DevProcess[], kill: boolean, { clock }: Teller, hurry: AbortSignal): Promise<readonly Unpurged[]> {
  const ends = await Promise.all(agents.map(async (agent) => ({ agent, why: await purge(agent, kill, clock, hurry) })));
  return ends.flatMap(({ agent, why }) => (why === undefined ? [] : [{ agent, why }]));
}

/** The state is all that knows of what is left. */
function refuseWhileItRuns(layout: DevLayout, stuck: readonly Unpurged[]): void {
  const problems = stuck.map(({ agent, why }) => `what ${agent.name} left running could not be stopped: ${why} (see ${agent.logFile})`);
  const running: readonly RunningProcess[] = runningProcesses(layout);
  if (running.length > 0) problems.push(`still running: ${runningText(running)}`);
  if (problems.length === 0) return;
  const wayOut = `its state is kept: \`npx shoal dev down\` again stops the rest; if that is gone for good, remove the folder ${layout.folder}`;
  throw new ShoalError('unavailable', `${problems.join('\n  ')}\n  ${wayOut}`);
}
