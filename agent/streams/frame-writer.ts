// Writes frames to a gRPC stream no faster than it takes them.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { TaskStreamDown, TaskStreamUp } from '../../proto/index.ts';
import { ShoalError } from '../../lib/errors.ts';

export type TaskCall = ClientDuplexStream<TaskStreamUp | Uint8Array, TaskStreamDown>;
export type UpFrame = NonNullable<TaskStreamUp['frame']>;

export interface FrameWriter {
  /** Resolves when the stream has room for more; rejects with `cancelled` when `signal` aborts. */
  write(frame: UpFrame): Promise<void>;
}

export function frameWriter(call: TaskCall, signal: AbortSignal): FrameWriter {
  let room: Promise<void> | undefined;
  const waitForRoom = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        call.off('drain', settle);
        signal.removeEventListener('abort', settle);
        room = undefined;
        if (signal.aborted) reject(reasonOf(signal));
        else resolve();
      };
      call.once('drain', settle);
      signal.addEventListener('abort', settle, { once: true });
    });
  return {
    async write(frame) {
      if (signal.aborted) throw reasonOf(signal);
      // Two writers (stdout and stderr) wait for the same room.
      while (room !== undefined) await room;
      if (!call.write({ frame })) {
        room = waitForRoom();
        await room;
      }
    },
  };
}

function reasonOf(signal: AbortSignal): ShoalError {
  const reason: unknown = signal.reason;
  return reason instanceof ShoalError ? reason : new ShoalError('cancelled', 'the stream was closed', { cause: reason });
}
