// One exec in a task: output up, input and terminal sizes down, each side no faster than the other takes it.
import type { Readable, Writable } from 'node:stream';
import { type ExecRequest, OutputSource, type TaskStreamDown } from '../../proto/index.ts';
import type { ExecSession, Runtime } from '../runtime/runtime.ts';
import type { FrameWriter, TaskCall } from './frame-writer.ts';

/** Most peers take far larger messages; this keeps several streams on one connection fair. */
const CHUNK_BYTES = 64 * 1024;

/** Resolves to the exit code after all output has been written. */
export async function streamExec(
  runtime: Runtime,
  request: ExecRequest,
  call: TaskCall,
  writer: FrameWriter,
  signal: AbortSignal,
): Promise<number> {
  const session = await runtime.exec(request.taskId, request, signal);
  const kill = (): void => {
    session.kill();
  };
  signal.addEventListener('abort', kill, { once: true });
  const stopInput = forwardInput(call, session);
  try {
    signal.throwIfAborted();
    await Promise.all([
      forwardOutput(session.stdout, OutputSource.STDOUT, writer),
      forwardOutput(session.stderr, OutputSource.STDERR, writer),
    ]);
    return await session.ended;
  } catch (error) {
    session.kill();
    throw error;
  } finally {
    stopInput();
    signal.removeEventListener('abort', kill);
  }
}

async function forwardOutput(source: Readable, name: OutputSource, writer: FrameWriter): Promise<void> {
  for await (const chunk of source as AsyncIterable<Uint8Array | string>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      await writer.write({ case: 'output', value: { source: name, data: bytes.subarray(at, at + CHUNK_BYTES), timeUnixMs: 0 } });
    }
  }
}

function forwardInput(call: TaskCall, session: ExecSession): () => void {
  const stdin: Writable = session.stdin;
  const onData = ({ frame }: TaskStreamDown): void => {
    switch (frame?.case) {
      case 'input':
        if (!stdin.writableEnded && !stdin.destroyed && !stdin.write(frame.value)) call.pause();
        break;
      case 'inputEnd':
        stdin.end();
        break;
      case 'resize':
        // The process may have ended in the meantime: a size that comes too late matters to nobody.
        session.resize(frame.value.rows, frame.value.columns).catch(() => undefined);
        break;
      case 'accepted':
      case undefined:
        break;
    }
  };
  const onDrain = (): void => {
    call.resume();
  };
  // A process that closes its input, or has ended, is no failure of the stream.
  const onError = (): void => {
    call.resume();
  };
  const onEnd = (): void => {
    stdin.end();
  };
  stdin.on('drain', onDrain);
  stdin.on('close', onDrain);
  stdin.on('error', onError);
  call.on('data', onData);
  call.on('end', onEnd);
  call.resume();
  return () => {
    call.off('data', onData);
    call.off('end', onEnd);
    stdin.off('drain', onDrain);
    stdin.off('close', onDrain);
    call.resume();
  };
}
