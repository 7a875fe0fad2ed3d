// Which store and which runtime a development cluster takes, and what to install for the other.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describeFailures, detectEngine } from '../../lib/container-engine.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Shell } from '../shell.ts';

export type StoreChoice = DevChoice<'etcd' | 'embedded'> & { readonly etcdBinary: string };
export type RuntimeChoice = DevChoice<'docker' | 'process'> & { readonly socket: string };

interface DevChoice<T> {
  readonly choice: T;
  /** For people: why, and what to do for the other. */
  readonly words: string;
}

/** `wanted` undefined: etcd where its binary is on the PATH. Throws `failed_precondition` where etcd is wanted and missing. */
export function chooseStore(wanted: 'etcd' | 'embedded' | undefined, path: string | undefined): StoreChoice {
  const etcdBinary = findOnPath('etcd', path);
  if (wanted === 'embedded') return { choice: 'embedded', etcdBinary: '', words: 'embedded store (asked for)' };
  if (etcdBinary !== undefined) return { choice: 'etcd', etcdBinary, words: `etcd (${etcdBinary}; --store embedded for the built-in one)` };
  if (wanted === 'etcd') {
    throw new ShoalError(
      'failed_precondition',
      'no etcd on the PATH: install it (Debian: apt-get install etcd-server) or use --store embedded',
    );
  }
  return { choice: 'embedded', etcdBinary: '', words: 'embedded store (no etcd on the PATH; for etcd: apt-get install etcd-server)' };
}

/** `wanted` undefined: containers where an engine answers. Throws `failed_precondition` where containers are wanted and none does. */
export async function chooseRuntime(
  wanted: 'docker' | 'process' | undefined,
  { env, clock }: Pick<Shell, 'env' | 'clock'>,
  signal: AbortSignal,
): Promise<RuntimeChoice> {
  if (wanted === 'process') return { choice: 'process', socket: '', words: 'plain processes (asked for)' };
  const detection = await detectEngine({ env, clock }, signal);
  if (detection.found !== undefined) {
    const { socketPath, engine, version } = detection.found;
    return {
      choice: 'docker',
      socket: socketPath,
      words: `containers (${engine} ${version} at ${socketPath}; --runtime process for plain processes)`,
    };
  }
  if (wanted === 'docker') {
    throw new ShoalError(
      'failed_precondition',
      `no container engine answers (${describeFailures(detection)}): start Docker or Podman, or use --runtime process`,
    );
  }
  return {
    choice: 'process',
    socket: '',
    words: 'plain processes (no container engine answers; for containers install Docker or Podman and start it)',
  };
}

function findOnPath(name: string, path: string | undefined): string | undefined {
  for (const folder of (path ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}
