// Makes the runtime that the user named. Nothing else is ever taken in its place: tasks meant for containers must not run as plain processes.
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import type { AgentSettings } from './options.ts';
import type { Runtime } from './runtime/runtime.ts';
import type { NodeIdentity } from './session/node-identity.ts';

export interface RuntimeChoiceOptions {
  readonly settings: AgentSettings;
  readonly identity: () => NodeIdentity | undefined;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

/** Loads only what is used. Rejects with `unavailable` where no engine answers, naming each socket that was tried. */
export async function chooseRuntime(options: RuntimeChoiceOptions, signal: AbortSignal): Promise<Runtime> {
  const { settings, clock, rng, log } = options;
  const nodeId = (): string => options.identity()?.nodeId ?? '';
  const clusterId = (): string => options.identity()?.clusterId ?? '';
  switch (settings.runtime) {
    case 'docker': {
      const [{ describeFailures, detectEngine }, { createDockerRuntime }, { openImageLedger }] = await Promise.all([
        import('../lib/container-engine.ts'),
        import('./runtime/docker/index.ts'),
        import('./runtime/docker/image-ledger.ts'),
      ]);
      const detection = await detectEngine({ dockerHost: settings.dockerHost, env: process.env, clock }, signal);
      const found = detection.found ?? expected(settings.dockerHost ?? process.env['DOCKER_HOST'], options.identity() !== undefined);
      if (found === undefined)
        throw new ShoalError(
          'unavailable',
          `no container engine answers (${describeFailures(detection)}); start Docker or Podman, name its socket with --docker-host, or take --runtime process for plain processes`,
        );
      if (detection.found === undefined)
        log.warn('the engine does not answer yet', { socket: found.socketPath, tried: describeFailures(detection) });
      const ledger = openImageLedger(join(settings.dataDir, 'images.json'), log);
      return createDockerRuntime({ ...found, hostAddresses: settings.meshListen, nodeId, clusterId, clock, rng, log, ledger });
    }
    case 'process': {
      const { createProcessRuntime } = await import('./runtime/process/index.ts');
      const directory = join(settings.dataDir, 'tasks');
      return createProcessRuntime({ directory, dataAddress: settings.dataAddress, nodeId, clusterId, clock, log });
    }
  }
}

/**
 * Where the engine is waited for: at a socket that was named (at boot the engine may come after the agent), and at the usual one on a host that
 * had tasks before (they must not count as lost because the engine restarts).
 */
function expected(dockerHost: string | undefined, known: boolean): { readonly socketPath: string; readonly engine: 'docker' } | undefined {
  if (dockerHost?.startsWith('unix://') === true) return { socketPath: dockerHost.slice('unix://'.length), engine: 'docker' };
  if (dockerHost?.startsWith('/') === true) return { socketPath: dockerHost, engine: 'docker' };
  return known && (dockerHost ?? '') === '' ? { socketPath: '/var/run/docker.sock', engine: 'docker' } : undefined;
}
