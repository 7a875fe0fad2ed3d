// Which store and which runtime a development cluster takes, and what to install for the other.
import { accessSync, constants } from 'node:fs';
import { request } from 'node:http';
import { delimiter, join } from 'node:path';
import { ShoalError } from '../../lib/errors.ts';

export type StoreChoice = DevChoice<'etcd' | 'embedded'> & { readonly etcdBinary: string };
export type RuntimeChoice = DevChoice<'docker' | 'process'> & { readonly socket: string };

interface DevChoice<T> {
  readonly choice: T;
  /** For people: why, and what to do for the other. */
  readonly words: string;
}

const ENGINE_DEADLINE_MS = 2000;

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
  env: Readonly<Record<string, string | undefined>>,
): Promise<RuntimeChoice> {
  if (wanted === 'process') return { choice: 'process', socket: '', words: 'plain processes (asked for)' };
  const refusals: string[] = [];
  for (const socket of engineSockets(env)) {
    const problem = await pingEngine(socket);
    if (problem === undefined)
      return { choice: 'docker', socket, words: `containers (engine at ${socket}; --runtime process for plain processes)` };
    refusals.push(`${socket}: ${problem}`);
  }
  if (wanted === 'docker') {
    throw new ShoalError(
      'failed_precondition',
      `no container engine answers (${refusals.join('; ')}): start Docker or Podman, or use --runtime process`,
    );
  }
  return {
    choice: 'process',
    socket: '',
    words: 'plain processes (no container engine answers; for containers install Docker or Podman and start it)',
  };
}

function engineSockets(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const { DOCKER_HOST: host, XDG_RUNTIME_DIR: runtimeDirectory } = env;
  if (host?.startsWith('unix://')) return [host.slice('unix://'.length)];
  return [
    '/var/run/docker.sock',
    ...(runtimeDirectory === undefined ? [] : [join(runtimeDirectory, 'podman/podman.sock')]),
    '/run/podman/podman.sock',
  ];
}

/** Undefined when the engine at the socket answers; else why not. */
function pingEngine(socketPath: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: '/_ping', timeout: ENGINE_DEADLINE_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? undefined : `answers ${response.statusCode ?? 0}`);
    });
    call.on('timeout', () => call.destroy(new Error('no answer within 2 s')));
    call.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ENOENT' ? 'not there' : error.code === 'EACCES' ? 'no permission' : error.message);
    });
    call.end();
  });
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
