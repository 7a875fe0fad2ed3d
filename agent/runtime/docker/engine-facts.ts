// What the engine says of itself and its host.
import { ShoalError } from '../../../lib/errors.ts';
import { EngineDescription, Resources } from '../../../proto/index.ts';
import { type EngineClient, QUERY_DEADLINE_MS } from './client.ts';

const PING_DEADLINE_MS = 5000;

/** The parts of GET /info that are used; Podman leaves some out. */
interface EngineInfo {
  readonly NCPU?: number;
  readonly MemTotal?: number;
  readonly ServerVersion?: string;
  readonly OSType?: string;
  readonly OperatingSystem?: string;
  readonly Labels?: readonly string[] | null;
  readonly SecurityOptions?: readonly string[] | null;
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>> | null;
}

export interface EngineFacts {
  check(signal: AbortSignal): Promise<string | undefined>;
  describe(signal: AbortSignal): Promise<{ readonly engine: EngineDescription; readonly resources: Resources }>;
  /** Whether a container's own address can be reached from this host. Asked of the engine once. */
  containersReachable(signal: AbortSignal): Promise<boolean>;
  /** The filter for events of containers with these labels. */
  eventFilters(labels: string[]): { type: 'container'[]; label: string[]; event?: string[] };
}

export function createEngineFacts(client: EngineClient, engine: 'docker' | 'podman'): EngineFacts {
  let reachable: boolean | undefined;
  const info = async (signal: AbortSignal): Promise<EngineInfo> => {
    const answer = await client.call(
      'cannot ask the engine about itself',
      QUERY_DEADLINE_MS,
      (abortSignal) => client.dial({ method: 'GET', path: '/info', query: {}, abortSignal }) as Promise<EngineInfo>,
      signal,
    );
    reachable = isReachable(answer);
    return answer;
  };
  return {
    async check(signal) {
      try {
        await client.call(
          'the container engine is not ready',
          PING_DEADLINE_MS,
          (abortSignal) => client.dial({ method: 'GET', path: '/_ping', query: {}, abortSignal }),
          signal,
        );
        return undefined;
      } catch (error) {
        const { code, message } = ShoalError.from(error);
        if (code === 'cancelled') throw error;
        return message;
      }
    },
    async describe(signal) {
      const answer = await info(signal);
      return {
        engine: EngineDescription.create({
          runtime: engine,
          version: answer.ServerVersion ?? '',
          labels: labelsOf(answer.Labels ?? []),
          plugins: pluginsOf(answer),
        }),
        resources: Resources.create({ nanoCpus: (answer.NCPU ?? 0) * 1e9, memoryBytes: answer.MemTotal ?? 0 }),
      };
    },
    async containersReachable(signal) {
      return reachable ?? isReachable(await info(signal));
    },
    eventFilters: (labels) => ({
      type: ['container'],
      label: labels,
      // Without it each run of a health check is three events more. Podman has other names for some, so it filters less.
      ...(engine === 'docker' ? { event: ['die', 'destroy', 'health_status'] } : {}),
    }),
  };
}

/** Rootless engines keep their containers in a network of their own; where the host is not Linux they are in a virtual machine. */
function isReachable(info: EngineInfo): boolean {
  const rootless = (info.SecurityOptions ?? []).some((option) => option.includes('rootless'));
  const desktop = (info.OperatingSystem ?? '').startsWith('Docker Desktop');
  return process.platform === 'linux' && !rootless && !desktop;
}

function labelsOf(labels: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    labels.map((label) => {
      const at = label.indexOf('=');
      return at < 0 ? [label, ''] : [label.slice(0, at), label.slice(at + 1)];
    }),
  );
}

function pluginsOf(info: EngineInfo): string[] {
  return ['Volume', 'Log'].flatMap((kind) => (info.Plugins?.[kind] ?? []).map((name) => `${kind.toLowerCase()}/${name}`));
}
