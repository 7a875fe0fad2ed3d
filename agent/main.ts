// The agent of a node from start to end: folder, runtime, agent, health address.
import { join } from 'node:path';
import { systemClock } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import { lockFolder } from '../lib/folder-lock.ts';
import { systemIds } from '../lib/ids.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { createAgent } from './agent.ts';
import type { Agent } from './agent-options.ts';
import { meshLauncher } from './mesh/mesh-process.ts';
import type { AgentSettings } from './options.ts';
import { chooseRuntime } from './runtime-choice.ts';
import { openIdentity } from './session/node-identity.ts';

export interface RunContext {
  /** Aborted: the agent ends, and with it, where it is ephemeral, its tasks and mesh. */
  readonly signal: AbortSignal;
  /** The program and what comes before the verb, for the mesh; unless given, this process's own. */
  readonly self?: readonly [string, ...string[]];
}

/** Resolves when the agent has ended. Throws what kept it from starting. */
export async function runAgent(settings: AgentSettings, context: RunContext): Promise<void> {
  const log = createLogger({ role: 'agent', level: settings.logLevel, format: settings.logFormat });
  const unlock = lockFolder(settings.dataDir, 'an agent');
  try {
    await run(settings, context, log);
  } finally {
    unlock();
  }
}

async function run(settings: AgentSettings, { signal, self = ownCommand() }: RunContext, log: Logger): Promise<void> {
  const base = { clock: systemClock, rng: systemRng, log };
  const identity = openIdentity(settings.dataDir);
  const runtime = await chooseRuntime({ ...base, settings, identity: () => identity.current() }, signal);
  const who = identity.current();
  if (settings.purge) {
    if (who === undefined) return;
    const { killingRuntime, purgeNode } = await import('./purge.ts');
    const { dataDir, dataAddress, kill } = settings;
    await purgeNode(
      { ...base, dataDir, dataAddress, identity: who, command: self, runtime: kill ? killingRuntime(runtime) : runtime },
      signal,
    );
    return;
  }
  const trouble = await runtime.check(signal);
  if (trouble !== undefined && who === undefined) throw new ShoalError('unavailable', `nothing can be run on this host: ${trouble}`);
  const agent = createAgent({
    ...base,
    dataDir: settings.dataDir,
    managers: settings.managers,
    labels: settings.labels,
    description: {
      hostname: settings.hostname,
      dataAddress: settings.dataAddress,
      meshAddresses: settings.meshListen,
      nanoCpus: settings.nanoCpus,
      memoryBytes: settings.memoryBytes,
      genericResources: settings.genericResources,
    },
    housekeeping: settings.housekeeping,
    identity,
    runtime,
    nonce: systemIds.next(),
    launchMesh: (nodeId) =>
      meshLauncher({
        command: self,
        dataDir: join(settings.dataDir, 'mesh'),
        nodeId,
        listen: settings.meshListen,
        portOffset: settings.meshPortOffset,
        healthAddress: settings.meshHealth,
        logLevel: settings.logLevel,
      }),
  });
  const health = await startHealth(settings, agent);
  try {
    await agent.start();
    log.info('started', { dataDir: settings.dataDir, dataAddress: settings.dataAddress, runtime: runtime.name });
    await aborted(signal);
    if (settings.ephemeral) {
      log.info('stopping, with tasks and mesh');
      await agent.drainAndStop();
    } else {
      log.info('stopping; tasks and mesh go on');
      await agent.stop();
    }
  } finally {
    await health?.stop();
  }
}

/** Loaded only where asked for: the metrics library is not small. */
async function startHealth(settings: AgentSettings, agent: Agent): Promise<{ stop(): Promise<void> } | undefined> {
  if (settings.health === undefined) return undefined;
  const [{ metrics, startHealthServer }, { registerMetrics }] = await Promise.all([
    import('../lib/health-server.ts'),
    import('./metrics.ts'),
  ]);
  registerMetrics(metrics, agent);
  return startHealthServer({ ...settings.health, ready: () => agent.trouble() });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener('abort', () => {
        resolve();
      });
  });
}

/** How this process was started is how the mesh is: the same node, loader and entry script, but no debugger. */
function ownCommand(): readonly [string, ...string[]] {
  const flags = process.execArgv.filter((flag) => !flag.startsWith('--inspect'));
  return [process.execPath, ...flags, process.argv[1] ?? ''];
}
