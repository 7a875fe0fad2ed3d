// A further process in a running container, over one hijacked connection.
import { type Duplex, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Clock, sleep } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { type ExecOptions, type ExecSession } from '../runtime.ts';
import { CHANGE_DEADLINE_MS, type EngineClient, QUERY_DEADLINE_MS } from './client.ts';
import { containerName } from './labels.ts';
import { demultiplex } from './multiplex.ts';

const BUFFER_BYTES = 64 * 1024;
/** Longer than this is none of the engine's own messages. */
const MAX_COMPLAINT_BYTES = 2048;

export async function startExec(
  client: EngineClient,
  clock: Clock,
  taskId: string,
  options: ExecOptions,
  signal: AbortSignal,
): Promise<ExecSession> {
  const what = `cannot execute in task ${taskId}`;
  const exec = await client.call(
    what,
    CHANGE_DEADLINE_MS,
    (abortSignal) =>
      client.docker.getContainer(containerName(taskId)).exec({
        AttachStdin: options.stdin,
        AttachStdout: true,
        AttachStderr: true,
        Tty: options.tty,
        Cmd: [...options.command],
        ...(options.env.length > 0 ? { Env: [...options.env] } : {}),
        // Newer engines begin with this size; older ones are told right after the start.
        ...(options.tty && options.rows > 0 && options.columns > 0
          ? { ConsoleSize: [options.rows, options.columns] as [number, number] }
          : {}),
        ...(options.user === '' ? {} : { User: options.user }),
        ...(options.workdir === '' ? {} : { WorkingDir: options.workdir }),
        abortSignal,
      }),
    signal,
  );
  const socket: Duplex = await client.stream(
    what,
    CHANGE_DEADLINE_MS,
    (abortSignal) => exec.start({ hijack: true, stdin: options.stdin, Tty: options.tty, abortSignal }),
    signal,
  );
  /** How the output began: the engine says there why it cannot run a command. */
  let start = '';
  const outlet = (): Transform =>
    new Transform({
      highWaterMark: BUFFER_BYTES,
      transform(chunk: Buffer, _encoding, done) {
        if (start.length < MAX_COMPLAINT_BYTES) start += chunk.toString('latin1', 0, MAX_COMPLAINT_BYTES);
        done(null, chunk);
      },
    });
  const [stdout, stderr] = [outlet(), outlet()];
  // The exit code says how it went; a cut connection shows as an early end of the output.
  socket.on('error', () => undefined);
  const resize = async (rows: number, columns: number): Promise<void> => {
    if (!options.tty || rows === 0 || columns === 0) return;
    await client.call(
      `cannot resize the terminal of task ${taskId}`,
      QUERY_DEADLINE_MS,
      (abortSignal) => exec.resize({ h: rows, w: columns, abortSignal }),
      signal,
    );
  };
  // A shell that is gone already has no terminal to resize.
  resize(options.rows, options.columns).catch(() => undefined);
  const output = options.tty ? pipeline(socket, stdout, { end: true }).finally(() => stderr.end()) : demultiplex(socket, stdout, stderr);
  const ended = output
    .catch(() => undefined)
    .then(() => exitCode(client, clock, taskId, () => exec.inspect(), signal))
    .then((code) => commandExitCode(code, start))
    .finally(() => socket.destroy());
  ended.catch(() => undefined);
  return {
    stdin: options.stdin ? stdinOf(socket) : new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout,
    stderr,
    resize,
    ended,
    kill: () => {
      // The engine has no call that ends an exec; a terminal's shell ends with its connection, and the rest when it reads or writes next.
      socket.destroy();
    },
  };
}

/** Ending it ends the input only: the output goes on. */
function stdinOf(socket: Duplex): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk, (error) => done(error ?? null));
    },
    final: (done) => {
      socket.end(() => done());
    },
  });
}

/** A shell's codes for what could not be run: 127 where there is no such program (older engines say 126 of that too), 126 otherwise. */
export function commandExitCode(exitCode: number, output: string): number {
  if (exitCode !== 126) return exitCode;
  return /^OCI runtime exec failed.*(?:executable file not found|no such file or directory)/s.test(output) ? 127 : exitCode;
}

const EXIT_ATTEMPTS = 20;
const EXIT_DELAY_MS = 100;

/** The output may end a moment before the engine has noted the exit. */
async function exitCode(
  client: EngineClient,
  clock: Clock,
  taskId: string,
  inspect: () => Promise<{ readonly Running: boolean; readonly ExitCode: number | null }>,
  signal: AbortSignal,
): Promise<number> {
  for (let attempt = 0; attempt < EXIT_ATTEMPTS; attempt++) {
    const info = await client.call(`cannot read the exit code in task ${taskId}`, QUERY_DEADLINE_MS, inspect, signal);
    if (!info.Running && info.ExitCode !== null) return info.ExitCode;
    await sleep(clock, EXIT_DELAY_MS, signal);
  }
  throw new ShoalError('unavailable', `the connection to the process in task ${taskId} ended, but the process runs on`);
}
