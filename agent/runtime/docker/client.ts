// The way to one engine: dockerode on its Unix socket, with a deadline on every call and the engine's errors turned into ShoalErrors.
import { Agent } from 'node:http';
import { type Duplex, type Readable } from 'node:stream';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import { type Clock, withDeadline } from '../../../lib/clock.ts';
import { errnoOf, isAbortError, messageOf, ShoalError } from '../../../lib/errors.ts';

/** Inspect, list, info: nothing the engine has to work for. */
export const QUERY_DEADLINE_MS = 15_000;
/** Create, start, remove: dozens at once on a slow disk take long. */
export const CHANGE_DEADLINE_MS = 120_000;

export interface EngineClient {
  readonly docker: Docker;
  readonly socketPath: string;
  /** Runs `work` under the deadline; what it throws comes out as a ShoalError that begins with `what` ("cannot start web.1"). */
  call<T>(what: string, deadlineMs: number, work: (abortSignal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** The same for an answer that streams: the deadline covers the time until it begins; the stream is destroyed when `signal` aborts. */
  stream<T extends Duplex | Readable>(
    what: string,
    deadlineMs: number,
    work: (abortSignal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** A call that dockerode does not make as needed. Path begins with "/", body is sent as JSON. */
  dial(request: DialRequest): Promise<unknown>;
}

export interface DialRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Base64 of X-Registry-Auth. */
  readonly registryAuth?: string;
  /** The answer is an unread stream. */
  readonly stream?: boolean;
  readonly abortSignal: AbortSignal;
}

export function createEngineClient(socketPath: string, clock: Clock): EngineClient {
  // host: DOCKER_HOST of the environment must not win over the socket that was chosen.
  const connection = {
    socketPath,
    host: undefined,
    protocol: 'http' as const,
    agent: uninspectable(new Agent({ keepAlive: true, maxFreeSockets: 16 })),
  };
  const docker = new Docker(connection);
  const call: EngineClient['call'] = async (what, deadlineMs, work, signal) => {
    try {
      return await withDeadline(clock, deadlineMs, `${what}: the engine's answer`, work, signal);
    } catch (error) {
      throw engineError(error, what, socketPath);
    }
  };
  return {
    docker,
    socketPath,
    call,
    stream: async (what, deadlineMs, work, signal) => {
      const controller = new AbortController();
      const forward = (): void => controller.abort();
      signal.addEventListener('abort', forward, { once: true });
      try {
        const stream = await call(what, deadlineMs, () => work(controller.signal), signal);
        const destroy = (): unknown => stream.destroy();
        signal.addEventListener('abort', destroy, { once: true });
        stream.once('close', () => {
          signal.removeEventListener('abort', forward);
          signal.removeEventListener('abort', destroy);
        });
        return stream;
      } catch (error) {
        controller.abort();
        signal.removeEventListener('abort', forward);
        throw error;
      }
    },
    dial: (request) => dial(docker, request),
  };
}

/**
 * docker-modem prints each request's options, agent and all its sockets included, for a debug line that nobody sees: that took 40 ms of
 * processor time per container, nine tenths of what the agent used. The agent says its name instead.
 */
function uninspectable(agent: Agent): Agent {
  return Object.defineProperty(agent, inspect.custom, { value: () => 'Agent' });
}

function dial(docker: Docker, request: DialRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    docker.modem.dial(
      {
        path: `${request.path}?`,
        method: request.method,
        isStream: request.stream ?? false,
        allowEmpty: true,
        statusCodes: { 200: true, 201: true, 204: true },
        options: { _query: request.query, _body: request.body ?? {} },
        abortSignal: request.abortSignal,
        ...(request.registryAuth === undefined ? {} : { authconfig: { base64: request.registryAuth } }),
      },
      (error, result) => {
        if (error === null || (error as unknown) === undefined) resolve(result);
        else reject(error);
      },
    );
  });
}

/** The HTTP status of an engine's refusal, or undefined where it did not come to an answer. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof ShoalError) return statusOf(error.cause);
  const status: unknown = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** The engine's own words. */
function wordsOf(error: unknown): string {
  const json = (error as { json?: { message?: unknown; cause?: unknown } | null } | undefined)?.json;
  if (typeof json?.message === 'string') return json.message.trim();
  return messageOf(error)
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .trim();
}

/** Words of an engine that is up but cannot reach its own parts; it may be back in a moment. */
const PASSING = /containerd\.sock|transport is closing|shutting down|shutdown in progress|context canceled/i;

export function engineError(error: unknown, what: string, socketPath: string): ShoalError {
  if (error instanceof ShoalError) return error;
  if (isAbortError(error)) return new ShoalError('cancelled', `${what}: cancelled`, { cause: error });
  const status = statusOf(error);
  const words = `${what}: ${wordsOf(error)}`;
  if (status === undefined) {
    return new ShoalError('unavailable', `${what}: the engine does not answer on ${socketPath} (${errnoOf(error) ?? messageOf(error)})`, {
      cause: error,
    });
  }
  // Not an error at all where it comes: started, or stopped, already.
  if (status === 304) return new ShoalError('already_exists', words, { cause: error });
  if (status === 404) return new ShoalError('not_found', words, { cause: error });
  if (status === 409) return new ShoalError('conflict', words, { cause: error });
  if (status === 503 || (status >= 500 && PASSING.test(words))) return new ShoalError('unavailable', words, { cause: error });
  return new ShoalError('failed_precondition', words, { cause: error });
}

/** Reads the lines of a JSON-lines answer as they come; lines that are not JSON are passed over. */
export async function* jsonLines(stream: Readable): AsyncGenerator {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    // A line without end is not JSON of the engine; it must not fill the memory.
    if (rest.length > MAX_LINE_LENGTH) rest = '';
    for (const line of lines) {
      const value = parse(line);
      if (value !== undefined) yield value;
    }
  }
  const last = parse(rest);
  if (last !== undefined) yield last;
}

const MAX_LINE_LENGTH = 4 * 1024 * 1024;

function parse(line: string): unknown {
  if (line.trim() === '') return undefined;
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
