// Writing to a client's stream without running ahead of it.
import { ShoalError } from '../../lib/errors.ts';

interface WritableCall<T> {
  write(message: T): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Resolves when there is room for the next message; several writers may share it. Rejects with `cancelled` once the signal aborts. */
export type StreamWriter<T> = (message: T) => Promise<void>;

export function streamWriter<T>(call: WritableCall<T>, signal: AbortSignal): StreamWriter<T> {
  let room: Promise<void> | undefined;
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        room = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      call.once('drain', done);
      signal.addEventListener('abort', done, { once: true });
    });
  const refuseAborted = (): void => {
    if (signal.aborted) throw new ShoalError('cancelled', 'the client went away');
  };
  return async (message) => {
    while (room !== undefined) await room;
    refuseAborted();
    if (!call.write(message)) room ??= drained();
    await room;
    refuseAborted();
  };
}
