// Where a task's target ports are reached, and whether they answer: a target enters the route table only once the agent has connected to it.
import { type Endpoint, PortProtocol } from '../../proto/index.ts';
import { backoff } from '../../lib/backoff.ts';
import { type Clock, sleep } from '../../lib/clock.ts';
import type { Rng } from '../../lib/rng.ts';
import { tcpCheck } from '../health/tcp-check.ts';
import type { LeasedPort } from '../runtime/runtime.ts';

export function endpointsOf(
  ports: readonly LeasedPort[],
  ready: ReadonlySet<LeasedPort>,
  dataAddress: string,
  containerAddress: string | undefined,
): readonly Endpoint[] {
  return ports.map((port) => ({
    protocol: port.protocol === 'udp' ? PortProtocol.UDP : PortProtocol.TCP,
    targetPort: port.targetPort,
    nodeAddress: dataAddress,
    nodePort: port.nodePort,
    containerAddress: containerAddress ?? '',
    // Without an address of its own the task listens on the leased port of the node.
    containerPort: containerAddress === undefined ? port.nodePort : port.targetPort,
    ready: ready.has(port),
  }));
}

export interface ProbedTask {
  readonly address: string | undefined;
  readonly dataAddress: string;
  /** `--no-port-check`: all are ready at once. */
  readonly unchecked: boolean;
}

/** Calls `ready` once per port when it has answered, until `signal` aborts. */
export type ProbeTargets = (ports: readonly LeasedPort[], task: ProbedTask, ready: (port: LeasedPort) => void, signal: AbortSignal) => void;

/** Resolves to whether a TCP connection could be made; never rejects. */
export type TryConnect = (host: string, port: number, signal: AbortSignal) => Promise<boolean>;

/** A task that has just started usually listens within milliseconds; one that takes long is asked twice a second. */
const RETRY = { baseMs: 25, capMs: 500 };
const CONNECT_MS = 1000;

export function probeTargets(clock: Clock, rng: Rng, tryConnect: TryConnect = tcpConnect(clock)): ProbeTargets {
  const probe = async (port: LeasedPort, task: ProbedTask, signal: AbortSignal): Promise<boolean> => {
    if (port.protocol === 'udp' || task.unchecked) return true;
    const [host, number] = task.address === undefined ? [task.dataAddress, port.nodePort] : [task.address, port.targetPort];
    const retry = backoff(RETRY, rng);
    while (!signal.aborted) {
      if (await tryConnect(host, number, signal)) return true;
      try {
        await sleep(clock, retry.nextMs(), signal);
      } catch {
        return false;
      }
    }
    return false;
  };
  return (ports, task, ready, signal) => {
    for (const port of ports) {
      void probe(port, task, signal).then((answered) => {
        if (answered && !signal.aborted) ready(port);
      });
    }
  };
}

function tcpConnect(clock: Clock): TryConnect {
  return async (host, port, signal) => {
    const controller = new AbortController();
    const abort = (): void => {
      controller.abort();
    };
    const timer = clock.after(CONNECT_MS, abort);
    signal.addEventListener('abort', abort, { once: true });
    const answer = await tcpCheck({ host, port }, controller.signal);
    timer.cancel();
    signal.removeEventListener('abort', abort);
    return answer.kind === 'passed';
  };
}
