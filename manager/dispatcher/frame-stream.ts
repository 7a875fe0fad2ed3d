// A gRPC stream as a TaskStream: bounded both ways. A slow reader here stops the reading there; a full stream there holds `send` back here.
import { ShoalError } from '../../lib/errors.ts';
import type { TaskStreamDown, TaskStreamUp } from '../../proto/index.ts';
import type { TaskStream } from './task-streams.ts';

/** What is used of grpc-js's duplex streams, of either side. */
export interface FrameCall<In, Out> {
  on(event: 'data', listener: (frame: In) => void): unknown;
  on(event: 'drain' | 'end' | 'close' | 'cancelled', listener: () => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  write(frame: Out): boolean;
  pause(): unknown;
  resume(): unknown;
}

export interface FrameStreamOptions<In, Out> {
  readonly call: FrameCall<In, Out>;
  /** Undefined: not a frame for the reader. */
  readonly unwrap: (frame: In) => TaskStreamUp | undefined;
  readonly wrap: (frame: TaskStreamDown) => Out;
  /** What to say where the other side went away before its last frame. */
  readonly gone: (cause: unknown) => ShoalError;
  /** Ends the call from this side. */
  readonly hangUp: () => void;
  /** Once, however it ended. */
  readonly onClosed: () => void;
}

const MAX_WAITING = 16;

export function frameStream<In, Out>(options: FrameStreamOptions<In, Out>): TaskStream {
  const { call, gone } = options;
  const waiting: TaskStreamUp[] = [];
  /** Set once: nothing more comes, and why. */
  let ended: { readonly error: ShoalError | undefined } | undefined;
  let full = false;
  let wakeReader: (() => void) | undefined;
  const wakeSenders = new Set<() => void>();

  const finish = (error: ShoalError | undefined): void => {
    if (ended !== undefined) return;
    ended = { error };
    wakeReader?.();
    for (const wake of wakeSenders) wake();
    options.onClosed();
  };
  const hangUp = (): void => {
    finish(undefined);
    options.hangUp();
  };
  call.on('data', (raw) => {
    const frame = options.unwrap(raw);
    if (frame === undefined || ended !== undefined) return;
    waiting.push(frame);
    if (waiting.length >= MAX_WAITING) call.pause();
    wakeReader?.();
    if (frame.frame?.case === 'end') hangUp();
  });
  call.on('drain', () => {
    full = false;
    for (const wake of wakeSenders) wake();
  });
  call.on('error', (error) => {
    finish(gone(error));
  });
  for (const event of ['end', 'close', 'cancelled'] as const) {
    call.on(event, () => {
      finish(gone(undefined));
    });
  }

  return {
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          const frame = waiting.shift();
          if (frame !== undefined) {
            if (waiting.length === MAX_WAITING / 2 && ended === undefined) call.resume();
            yield frame;
            continue;
          }
          if (ended !== undefined) {
            if (ended.error !== undefined) throw ended.error;
            return;
          }
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
          wakeReader = undefined;
        }
      } finally {
        hangUp();
      }
    },
    async send(frame) {
      while (full && ended === undefined) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            wakeSenders.delete(wake);
            resolve();
          };
          wakeSenders.add(wake);
        });
      }
      if (ended !== undefined) throw ended.error ?? new ShoalError('unavailable', 'the stream has ended');
      full = !call.write(options.wrap(frame));
    },
    close: hangUp,
  };
}
