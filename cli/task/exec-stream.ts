// The two directions of an exec: terminal or pipe to the task, its output back, until it ends.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { isErrorCode, ShoalError } from '../../lib/errors.ts';
import { type ExecDown, type ExecRequest, type ExecUp, OutputSource, type StreamEnd } from '../../proto/index.ts';
import { messages } from '../client/stream.ts';
import type { Shell } from '../shell.ts';

type ExecCall = ClientDuplexStream<ExecUp | Uint8Array, ExecDown>;

/** Resolves to the command's exit code. The terminal is as it was, however this ends. */
export async function runExec(shell: Shell, call: ExecCall, target: string, ref: string, request: ExecRequest): Promise<number> {
  call.write({ frame: { case: 'start', value: { ref, exec: request } } });
  const raw = request.tty && request.stdin;
  const stopInput = request.stdin ? passInput(shell, call) : () => undefined;
  const stopResize = request.tty ? passSize(shell, call) : () => undefined;
  try {
    if (raw) shell.input.setRaw(true);
    for await (const { frame } of messages(call, target)) {
      if (frame?.case === 'end') return exitCodeOf(frame.value);
      if (frame?.case !== 'output') continue;
      const to = frame.value.source === OutputSource.STDERR ? shell.err : shell.out;
      if (!to.write(frame.value.data)) await to.drained();
    }
    throw new ShoalError('unavailable', `the connection to ${ref} ended before the command did; it may still run`);
  } finally {
    if (raw) shell.input.setRaw(false);
    stopResize();
    stopInput();
  }
}

function exitCodeOf({ exitCode, error, errorCode }: StreamEnd): number {
  if (error !== '') throw new ShoalError(isErrorCode(errorCode) ? errorCode : 'internal', error);
  return exitCode ?? 0;
}

/** Reads no faster than the connection takes it. */
function passInput({ input }: Shell, call: ExecCall): () => void {
  const { stream } = input;
  const onData = (data: Buffer): void => {
    if (!call.write({ frame: { case: 'input', value: data } })) stream.pause();
  };
  const onDrain = (): void => {
    stream.resume();
  };
  const onEnd = (): void => {
    call.write({ frame: { case: 'inputEnd', value: {} } });
  };
  stream.on('data', onData).once('end', onEnd);
  call.on('drain', onDrain);
  return () => {
    stream.off('data', onData).off('end', onEnd).pause();
    call.off('drain', onDrain);
  };
}

function passSize(shell: Shell, call: ExecCall): () => void {
  return shell.onResize(() => {
    call.write({ frame: { case: 'resize', value: { rows: shell.out.rows, columns: shell.out.columns } } });
  });
}
