// Finds the container engine of this host: the one that was named, or the first of the usual sockets that answers.
import { request } from 'node:http';
import { join } from 'node:path';
import { type Clock, withDeadline } from './clock.ts';
import { errnoOf, messageOf, ShoalError } from './errors.ts';

const PING_DEADLINE_MS = 2000;
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface DetectOptions {
  /** --docker-host: a path, or unix://path. With it, or with DOCKER_HOST in the environment, nothing else is tried. */
  readonly dockerHost?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

export interface FoundEngine {
  readonly socketPath: string;
  readonly engine: 'docker' | 'podman';
  readonly version: string;
}

export interface Detection {
  readonly found: FoundEngine | undefined;
  /** Every socket that was tried before, with the reason why it is not the one. */
  readonly failed: readonly { readonly socket: string; readonly reason: string }[];
}

/** Asks each socket in turn, 2 s at most for each. Rejects only with `cancelled`. */
export async function detectEngine(options: DetectOptions, signal: AbortSignal): Promise<Detection> {
  const failed: { socket: string; reason: string }[] = [];
  for (const socket of candidates(options)) {
    const socketPath = unixPath(socket);
    if (socketPath === undefined) {
      failed.push({ socket, reason: 'only Unix sockets are supported (unix:///path): the engine must be on the same host as its agent' });
      continue;
    }
    try {
      const found = await withDeadline(options.clock, PING_DEADLINE_MS, 'the answer', (inner) => askVersion(socketPath, inner), signal);
      return { found, failed };
    } catch (error) {
      if (signal.aborted) throw ShoalError.from(error);
      failed.push({ socket: socketPath, reason: reasonOf(error) });
    }
  }
  return { found: undefined, failed };
}

/** One line for people: what was tried and why it did not do. */
export function describeFailures(detection: Detection): string {
  return detection.failed.map(({ socket, reason }) => `${socket}: ${reason}`).join('; ');
}

function candidates({ dockerHost, env }: DetectOptions): string[] {
  const named = dockerHost ?? env['DOCKER_HOST'] ?? '';
  if (named !== '') return [named];
  const home = env['HOME'] ?? '';
  const runtimeFolder = env['XDG_RUNTIME_DIR'] ?? '';
  return [
    '/var/run/docker.sock',
    ...(home !== '' && process.platform === 'darwin' ? [join(home, '.docker/run/docker.sock')] : []),
    ...(runtimeFolder === '' ? [] : [join(runtimeFolder, 'docker.sock'), join(runtimeFolder, 'podman/podman.sock')]),
    '/run/podman/podman.sock',
  ];
}

function unixPath(host: string): string | undefined {
  if (host.startsWith('unix://')) return host.slice('unix://'.length);
  return host.startsWith('/') ? host : undefined;
}

interface VersionAnswer {
  readonly Version?: string;
  readonly Components?: readonly { readonly Name?: string }[] | null;
}

function askVersion(socketPath: string, signal: AbortSignal): Promise<FoundEngine> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path: '/version', signal, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long to be an engine'));
      });
      response.on('error', reject);
      response.on('end', () => {
        try {
          if (response.statusCode !== 200) throw new Error(`it answers with HTTP status ${String(response.statusCode)}`);
          const answer = JSON.parse(body) as VersionAnswer;
          const podman = (answer.Components ?? []).some(({ Name }) => Name?.startsWith('Podman') ?? false);
          resolve({ socketPath, engine: podman ? 'podman' : 'docker', version: answer.Version ?? '' });
        } catch (error) {
          reject(error instanceof SyntaxError ? new Error('what answers there is no container engine') : (error as Error));
        }
      });
    });
    call.on('error', reject);
    call.end();
  });
}

function reasonOf(error: unknown): string {
  switch (errnoOf(error)) {
    case 'ENOENT':
      return 'there is no such socket';
    case 'ECONNREFUSED':
      return 'nothing listens there: the engine is not running';
    case 'EACCES':
    case 'EPERM':
      return 'no permission: add this user to the group of the socket (for Docker: docker), or run the agent as root';
    default:
      return messageOf(error);
  }
}
