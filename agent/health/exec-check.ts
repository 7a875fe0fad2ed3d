// A command in the task; exit code 0 is healthy. It never runs twice at once: one that hangs is killed, and the next try waits for its end.
import type { Readable } from 'node:stream';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { ExecOptions, ExecSession, Runtime } from '../runtime/runtime.ts';
import { abortReason } from './tcp-check.ts';
import type { Answer } from './verdict.ts';

const MAX_OUTPUT_LENGTH = 300;
const SHELL = ['/bin/sh', '-c'];
/** Tells its own process id first: no engine has a call that ends an exec, so it is killed by number, from inside. */
const WITH_PID = 'echo "$$"; exec /bin/sh -c "$1"';

/** Of one probe of one task, until `lifetime` aborts. The result never rejects. */
export function execCheck(
  runtime: Runtime,
  taskId: string,
  command: readonly string[],
  lifetime: AbortSignal,
): (signal: AbortSignal) => Promise<Answer> {
  const tellsPid = runtime.name !== 'process' && command.length === 3 && SHELL.every((word, index) => command[index] === word);
  const argv = tellsPid ? [...SHELL, WITH_PID, 'sh', command[2] ?? ''] : command;
  /** The last run, where it was given up. */
  let lingering: string | undefined;

  const giveUp = (session: ExecSession, output: Output): void => {
    lingering = 'the command of an earlier try has not ended yet';
    const over = (): void => {
      lingering = undefined;
    };
    session.ended.then(over, over);
    const [pid] = tellsPid ? output.lines() : [];
    if (runtime.name === 'process' || lifetime.aborted) session.kill();
    else if (/^[1-9]\d*$/.test(pid ?? '')) void run(runtime, taskId, [...SHELL, `kill -9 -${pid ?? ''} || kill -9 ${pid ?? ''}`], lifetime);
  };

  return async (signal) => {
    if (lingering !== undefined) return { kind: 'failed', reason: `exec: ${lingering}` };
    const starting = runtime.exec(taskId, execOptions(argv), lifetime);
    let session: ExecSession | undefined;
    try {
      session = await untilAbort(starting, signal);
    } catch (error) {
      if (signal.aborted) starting.then((late) => giveUp(late, collect(late)), noop);
      return cannotStart(ShoalError.from(error), signal);
    }
    const output = collect(session);
    try {
      const code = await untilAbort(session.ended, signal);
      const words = output
        .lines(tellsPid ? 1 : 0)
        .join('\n')
        .trim();
      return code === 0
        ? { kind: 'passed' }
        : { kind: 'failed', reason: `exec: exit code ${String(code)}${words === '' ? '' : `: ${words}`}` };
    } catch (error) {
      if (!signal.aborted) return { kind: 'unknown', reason: `exec: ${messageOf(error)}` };
      giveUp(session, output);
      return { kind: 'failed', reason: `exec: ${abortReason(signal)}` };
    }
  };
}

/** An engine that does not answer tells nothing of the task. */
function cannotStart(error: ShoalError, signal: AbortSignal): Answer {
  if (signal.aborted) return { kind: 'unknown', reason: 'exec: the engine did not start the command in time' };
  const isEngines = error.retryable || error.code === 'not_found' || error.code === 'cancelled';
  return { kind: isEngines ? 'unknown' : 'failed', reason: `exec: ${error.message}` };
}

function execOptions(command: readonly string[]): ExecOptions {
  return { command, tty: false, stdin: false, env: [], user: '', workdir: '', rows: 0, columns: 0 };
}

/** For its effect only. */
async function run(runtime: Runtime, taskId: string, command: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    const session = await runtime.exec(taskId, execOptions(command), signal);
    collect(session);
    await session.ended;
  } catch {
    // The next try says that the command has not ended.
  }
}

interface Output {
  /** Of standard output, then of standard error. */
  lines(from?: number): readonly string[];
}

/** Reads everything, keeps the beginning. */
function collect(session: ExecSession): Output {
  const kept = [session.stdout, session.stderr].map((stream) => beginningOf(stream));
  return { lines: (from = 0) => kept.map((text) => text()).flatMap((text, index) => text.split('\n').slice(index === 0 ? from : 0)) };
}

function beginningOf(stream: Readable): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    if (text.length < MAX_OUTPUT_LENGTH) text = (text + chunk.toString()).slice(0, MAX_OUTPUT_LENGTH);
  });
  stream.on('error', noop);
  return () => text;
}

function noop(): void {
  // Nobody waits for it any more.
}

/** Rejects as soon as the signal aborts, whether or not `work` has ended. */
async function untilAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new ShoalError('cancelled', abortReason(signal));
  let onAbort: () => void = noop;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(new ShoalError('cancelled', abortReason(signal)));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
