// The demo: a service of three replicas on a published port, asked for on every node.
import { sleep } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { ContainerSpec, CreateServiceRequest, PortSpec, RestartPolicy, ServiceSpec, TaskSpec } from '../../proto/index.ts';
import { type Control, createControl } from '../client/control.ts';
import { messages } from '../client/stream.ts';
import type { Shell } from '../shell.ts';
import { DEMO_COMMAND, DEMO_SERVER, ensureDemoImage } from './demo-image.ts';
import type { DevCluster } from './layout.ts';
import { say } from './say.ts';

export const DEMO_SERVICE = 'demo';
const REPLICAS = 3;
const CONVERGE_MS = 60_000;
const ANSWER_MS = 10_000;
const ASK_AGAIN_MS = 20;

export interface DemoAnswer {
  readonly url: string;
  readonly text: string;
}

/** Creates the demo service, waits until it runs, and asks each node for it. */
export async function runDemo(cluster: DevCluster, port: number, shell: Shell, signal: AbortSignal): Promise<readonly DemoAnswer[]> {
  const control = createControl({ managers: cluster.managers, clock: shell.clock, signal });
  try {
    const spec = await demoSpec(cluster, port, shell);
    say(shell, `creating service ${DEMO_SERVICE}: ${REPLICAS} replicas, published port ${port}...`);
    const created = await control.write((client, call) =>
      client.createService(CreateServiceRequest.create({ spec, noResolveImage: true }), call),
    );
    await converged(control, created.revision, shell);
    return await Promise.all(cluster.nodes.map((node) => ask(`http://${node.address}:${port + node.portOffset}/`, shell, signal)));
  } finally {
    control.close();
  }
}

async function demoSpec(cluster: DevCluster, port: number, shell: Shell): Promise<ServiceSpec> {
  const docker = cluster.runtime === 'docker';
  if (docker) say(shell, 'making the demo image from this machine’s Node.js (no registry is needed)...');
  const container = ContainerSpec.create({
    image: docker ? await ensureDemoImage(cluster.dockerSocket) : 'process',
    command: docker ? DEMO_COMMAND : [process.execPath, ...process.execArgv, DEMO_SERVER],
    env: ['REPLICA={{.Task.Name}}', 'NODE_NAME={{.Node.Hostname}}'],
  });
  return ServiceSpec.create({
    name: DEMO_SERVICE,
    replicas: REPLICAS,
    task: TaskSpec.create({ container, restart: RestartPolicy.create({ delayMs: 1000 }) }),
    ports: [PortSpec.create({ targetPort: 8080, publishedPort: port })],
  });
}

/** Rejects with `not_converged`, and with what was heard last, where the demo does not run in time. */
export async function converged(control: Control, revision: number, shell: Shell): Promise<void> {
  const { client, target, options } = await control.streaming();
  const progress = client.watchProgress({ serviceRef: DEMO_SERVICE, revision, stableMs: 0 }, { ...options, deadlineMs: CONVERGE_MS });
  let last = 'nothing heard of it';
  try {
    for await (const message of messages(progress, target)) {
      const waiting = message.waiting.find((slot) => slot.message !== '');
      const line = `${message.running}/${message.desired} running${waiting === undefined ? '' : ` (${waiting.slot}: ${waiting.message})`}`;
      if (line !== last) say(shell, line);
      last = line;
      if (message.converged) return;
    }
  } catch (error) {
    if (ShoalError.from(error).code !== 'deadline_exceeded') throw error;
    const what = `the demo does not run after ${CONVERGE_MS / 1000} s: ${last}`;
    throw new ShoalError('not_converged', `${what}; start without --demo to look into it, the logs are in .shoal/dev/logs`, {
      cause: error,
    });
  }
  throw new ShoalError('unavailable', 'the manager ended before the demo ran');
}

/** The route table reaches a node's mesh a moment after the replicas are ready. */
async function ask(url: string, shell: Shell, signal: AbortSignal): Promise<DemoAnswer> {
  const endMs = shell.clock.nowMs() + ANSWER_MS;
  for (;;) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
      if (!response.ok) throw new ShoalError('unavailable', `status ${response.status}`);
      return { url, text: (await response.text()).trim() };
    } catch (error) {
      if (shell.clock.nowMs() > endMs) throw new ShoalError('unavailable', `${url} does not answer: ${reasonOf(error)}`, { cause: error });
      await sleep(shell.clock, ASK_AGAIN_MS, signal);
    }
  }
}

/** fetch says only "fetch failed"; why is in its cause. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
}
