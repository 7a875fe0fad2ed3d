// A whole agent in this process: scripted runtime, no mesh unless given, a data folder that outlives it, so that it can be started again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAgent } from '../../agent/agent.ts';
import type { Agent } from '../../agent/agent-options.ts';
import type { MeshLauncher } from '../../agent/mesh/mesh-process.ts';
import { openIdentity } from '../../agent/session/node-identity.ts';
import { systemClock } from '../../lib/clock.ts';
import { type Logger, silentLogger } from '../../lib/log.ts';
import { seededRng } from '../../lib/rng.ts';
import { Assignment, ContainerSpec, type Epoch, TaskSpec, TaskState } from '../../proto/index.ts';
import { type ScriptedRuntime } from './scripted-runtime.ts';
import { ownLoopback } from './sockets.ts';

export interface TestAgent {
  readonly dataDir: string;
  /** Lines that were logged at warn and above. */
  readonly problems: readonly string[];
  /** Starts it, after `stop` or `abandon` a new one on the same folder. */
  start(managers: readonly string[], runtime: ScriptedRuntime): Promise<Agent>;
  stop(): Promise<void>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

export function testAgent(launchMesh?: (nodeId: string, dataDir: string) => MeshLauncher): TestAgent {
  const dataDir = mkdtempSync(join(tmpdir(), 'shoal-agent-'));
  const problems: string[] = [];
  const problem = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    problems.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  const log: Logger = { ...silentLogger, error: problem, warn: problem, child: () => log };
  let agent: Agent | undefined;
  let nonce = 0;
  const stop = async (): Promise<void> => {
    await agent?.stop();
    agent = undefined;
  };
  return {
    dataDir,
    problems,
    async start(managers, runtime) {
      nonce++;
      agent = createAgent({
        dataDir,
        managers,
        description: {
          hostname: 'test',
          dataAddress: ownLoopback(),
          meshAddresses: [],
          nanoCpus: undefined,
          memoryBytes: undefined,
          genericResources: [],
        },
        labels: { zone: 'a' },
        identity: openIdentity(dataDir),
        runtime,
        launchMesh: launchMesh === undefined ? undefined : (nodeId) => launchMesh(nodeId, dataDir),
        nonce: `nonce${nonce}`,
        clock: systemClock,
        rng: seededRng(nonce),
        log,
        canBind: () => Promise.resolve(true),
      });
      await agent.start();
      return agent;
    },
    stop,
    async remove() {
      await stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export function epochOf(revision: number, clusterId = 'cluster1'): Epoch {
  return { clusterId, incarnation: 'i', incarnationNumber: 1, revision };
}

export function assignmentOf(taskId: string, fields: Partial<Assignment> = {}): Assignment {
  return Assignment.create({
    taskId,
    serviceId: 's1',
    serviceName: 'web',
    taskName: `web.${taskId}`,
    slot: 1,
    desired: TaskState.RUNNING,
    spec: TaskSpec.create({ container: ContainerSpec.create({ image: 'web' }) }),
    ...fields,
  });
}
