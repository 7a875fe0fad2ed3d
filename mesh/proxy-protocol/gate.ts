// Where a trusted source's connection waits until its PROXY header is whole: bounded in bytes and in time, and nothing of it reaches a replica before.
import { type Socket } from 'node:net';
import { type Clock } from '../../lib/clock.ts';
import { type Ends } from './header.ts';
import { MAX_HEADER_BYTES, parseProxyHeader } from './parser.ts';

export interface GateOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** The header is there; `rest`, the client's first bytes, may be empty. The socket is paused, and the gate has let go of it. */
  readonly onHeader: (ends: Ends | undefined, rest: Buffer) => void;
  /** It ended: `bad` where with garbage, too late or in the middle of a header, not where it left without a word as health checks do. */
  readonly onGone: (bad: boolean) => void;
}

export interface Gate {
  /** The client's bytes, until `onHeader`; false pauses the socket. */
  readonly take: (piece: Buffer) => boolean;
  /** Resets the client. */
  close(): void;
}

/** `client` is paused, and is resumed. */
export function openGate(client: Socket, options: GateOptions): Gate {
  let bytes: Buffer = Buffer.alloc(0);
  let left = false;
  const leave = (): void => {
    left = true;
    timer.cancel();
    client.off('end', onEnd);
    client.off('close', onClose);
  };
  const refuse = (bad: boolean): void => {
    leave();
    client.resetAndDestroy();
    options.onGone(bad);
  };
  const onEnd = (): void => {
    leave();
    client.destroy();
    options.onGone(bytes.length > 0);
  };
  const onClose = (): void => {
    leave();
    options.onGone(bytes.length > 0);
  };
  const timer = options.clock.after(options.timeoutMs, () => {
    // A stall of this process is no silence of the sender: what has arrived meanwhile is looked at first.
    setImmediate(() => {
      if (!left) refuse(true);
    });
  });
  client.on('end', onEnd);
  client.on('close', onClose);
  // Stays: a socket without one would end the process. The close that follows says all there is to say.
  client.on('error', () => undefined);
  client.resume();
  return {
    take: (piece) => {
      // What is beyond the longest header is the client's, and kept with it.
      bytes = Buffer.concat([bytes, piece]);
      const parsed = parseProxyHeader(bytes.length > MAX_HEADER_BYTES ? bytes.subarray(0, MAX_HEADER_BYTES) : bytes);
      switch (parsed.kind) {
        case 'incomplete':
          return true;
        case 'bad':
          refuse(true);
          return false;
        case 'header':
          leave();
          client.pause();
          options.onHeader(parsed.ends, bytes.subarray(parsed.bytes));
          return false;
      }
    },
    close: () => {
      refuse(false);
    },
  };
}
