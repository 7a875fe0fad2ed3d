// The mesh process: the mesh, its health address, and its end.
import { systemClock } from '../lib/clock.ts';
import { type Logger } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { VERSION } from '../lib/version.ts';
import { kernelSystem } from './kernel/system.ts';
import { Mesh } from './mesh.ts';
import { takeInheritance } from './sockets/passing.ts';

export interface MeshProcessOptions {
  readonly dataDir: string;
  /** "": whatever the first agent says. */
  readonly nodeId: string;
  /** Numeric addresses; none: all of the host. */
  readonly listen: readonly string[];
  readonly portOffset: number;
  /** Folder of the certificates; unset: "tls" in the data directory. */
  readonly tlsDir: string | undefined;
  /** Unset: no health server. */
  readonly health: { readonly host: string; readonly port: number } | undefined;
  readonly log: Logger;
  /** Of this process; what was meant for it alone is taken out. */
  readonly env: Record<string, string | undefined>;
  /** How this process was started. */
  readonly command: readonly string[];
}

/** How long open connections may go on after the signal. */
const STOP_PERIOD_MS = 10_000;
/** Longest such time that an agent may ask for. */
const MAX_STOP_PERIOD_MS = 3_600_000;

interface End {
  readonly periodMs: number;
  /** The open connections are all that is left. */
  readonly handedOver: boolean;
}

/** Runs until the signal aborts or an agent asks for the end. Throws where it cannot start. */
export async function runMesh(options: MeshProcessOptions, { signal }: { readonly signal: AbortSignal }): Promise<void> {
  let onEnd: (end: End) => void = () => undefined;
  const ended = new Promise<End>((resolve) => {
    onEnd = resolve;
  });
  const onAbort = (): void => {
    onEnd({ periodMs: STOP_PERIOD_MS, handedOver: false });
  };
  let health: { stop(): Promise<void> } | undefined;
  const mesh = new Mesh({
    clock: systemClock,
    rng: systemRng,
    log: options.log,
    dataDir: options.dataDir,
    nodeId: options.nodeId,
    listen: options.listen,
    portOffset: options.portOffset,
    tlsDir: options.tlsDir,
    version: VERSION,
    kernel: kernelSystem(systemClock),
    onStop: (periodMs) => {
      onEnd({ periodMs: Math.min(periodMs, MAX_STOP_PERIOD_MS), handedOver: false });
    },
    inheritance: takeInheritance(options.env),
    command: options.command,
    onHandOver: async () => {
      await health?.stop();
      health = undefined;
    },
    onHandedOver: (periodMs) => {
      onEnd({ periodMs: Math.min(periodMs, MAX_STOP_PERIOD_MS), handedOver: true });
    },
  });
  await mesh.start();
  try {
    health = await startHealth(options, mesh);
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const { periodMs, handedOver } = await ended;
    if (handedOver) await Promise.race([mesh.drained(periodMs), aborted]);
    else options.log.info('stopping', { waitMs: periodMs });
    await mesh.stop(handedOver ? 0 : periodMs);
    await health?.stop();
  } catch (error) {
    await mesh.stop(0);
    throw error;
  }
}

/** Loaded only where asked for: most nodes leave the mesh's numbers to its agent, and the memory free. */
async function startHealth(options: MeshProcessOptions, mesh: Mesh): Promise<{ stop(): Promise<void> } | undefined> {
  if (options.health === undefined) return undefined;
  const [{ metrics, startHealthServer }, { registerMetrics }, { registerHttpMetrics }, { registerKernelMetrics }] = await Promise.all([
    import('../lib/health-server.ts'),
    import('./metrics.ts'),
    import('./http/metrics.ts'),
    import('./kernel/metrics.ts'),
  ]);
  registerMetrics(metrics, () => mesh.counters);
  registerHttpMetrics(metrics, mesh.counters.http);
  registerKernelMetrics(metrics, () => mesh.counters.kernel);
  return startHealthServer({
    ...options.health,
    ready: () => (mesh.epoch === undefined ? 'no route table yet: no agent has sent one, and none was saved' : undefined),
  });
}
