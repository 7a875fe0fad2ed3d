// Streams towards agents whose sessions other managers hold: both ends of the manager-to-manager call. A request is passed on once at most.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { failCall, fromServiceError, type RpcConnection } from '../../lib/rpc/index.ts';
import { type OpenStream, PeerService, type PeerStreamDown, type PeerStreamUp, type TaskStreamDown } from '../../proto/index.ts';
import { frameStream } from './frame-stream.ts';
import type { TaskStream } from './task-streams.ts';

export interface PeerStreamOptions {
  readonly clock: Clock;
  /** For the first frame of a peer, and, a little longer, for a peer's answer. */
  readonly attachMs: number;
  readonly idleMs: number;
  readonly connectTo: (address: string) => RpcConnection;
}

interface Peer {
  readonly connection: RpcConnection;
  streams: number;
  idle: Timer | undefined;
}

/** The other manager answers within its own deadline; this much more is for the way. */
const WAY_MS = 1000;

/** The asking side: one connection per manager, closed when it has been without a stream for a while. */
export class PeerStreams {
  readonly #options: PeerStreamOptions;
  readonly #peers = new Map<string, Peer>();

  constructor(options: PeerStreamOptions) {
    this.#options = options;
  }

  /** As TaskStreams.open, by the manager at `address`. */
  open(address: string, nodeId: string, request: OpenStream, signal: AbortSignal): Promise<TaskStream> {
    const { clock, attachMs } = this.#options;
    return new Promise((resolve, reject) => {
      const peer = this.#take(address);
      const call = peer.connection.client(PeerService).taskStream();
      let opened = false;
      const settle = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
      };
      const fail = (error: ShoalError): void => {
        settle();
        reject(error);
        stream.close();
      };
      const stream = frameStream<PeerStreamDown, PeerStreamUp>({
        call,
        unwrap: ({ frame }) => {
          if (frame?.case === 'up') return frame.value;
          if (frame?.case === 'accepted' && !opened) {
            opened = true;
            settle();
            resolve(stream);
          }
          return undefined;
        },
        wrap: (frame) => ({ frame: { case: 'down', value: frame } }),
        gone: (cause) => goneError(cause, address, nodeId),
        hangUp: () => {
          call.cancel();
        },
        onClosed: () => {
          this.#give(address, peer);
        },
      });
      const timer = clock.after(attachMs + WAY_MS, () => {
        fail(new ShoalError('unavailable', `the manager at ${address}, which holds the session of node ${nodeId}, does not answer`));
      });
      const onAbort = (): void => {
        fail(new ShoalError('cancelled', 'cancelled'));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      call.on('error', (error) => {
        if (!opened) fail(goneError(error, address, nodeId));
      });
      call.on('end', () => {
        if (!opened) fail(goneError(undefined, address, nodeId));
      });
      call.write({ frame: { case: 'open', value: { nodeId, request } } });
      if (signal.aborted) onAbort();
    });
  }

  stop(): void {
    for (const peer of this.#peers.values()) {
      peer.idle?.cancel();
      peer.connection.close();
    }
    this.#peers.clear();
  }

  #take(address: string): Peer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = { connection: this.#options.connectTo(address), streams: 0, idle: undefined };
      this.#peers.set(address, peer);
    }
    peer.streams++;
    peer.idle?.cancel();
    peer.idle = undefined;
    return peer;
  }

  #give(address: string, peer: Peer): void {
    peer.streams--;
    if (peer.streams > 0 || this.#peers.get(address) !== peer) return;
    peer.idle = this.#options.clock.after(
      this.#options.idleMs,
      () => {
        this.#peers.delete(address);
        peer.connection.close();
      },
      true,
    );
  }
}

function goneError(cause: unknown, address: string, nodeId: string): ShoalError {
  if (cause !== undefined) return fromServiceError(cause, address);
  return new ShoalError('unavailable', `the manager at ${address} ended the stream to node ${nodeId}`);
}

export type PeerCall = ServerDuplexStream<PeerStreamUp, PeerStreamDown | Uint8Array>;

export interface PeerServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly attachMs: number;
  readonly open: (nodeId: string, request: OpenStream, signal: AbortSignal) => Promise<TaskStream>;
}

const PATH = 'Peer/TaskStream';

/** The answering side: the handler of a peer's call. */
export function servePeer(call: PeerCall, options: PeerServerOptions): void {
  const { clock, log, attachMs } = options;
  const gone = new AbortController();
  const timer = clock.after(attachMs, () => {
    failCall(call, new ShoalError('invalid_argument', `no open within ${attachMs / 1000} s`), PATH, log);
  });
  call.once('cancelled', () => {
    timer.cancel();
    gone.abort();
  });
  call.once('data', ({ frame }: PeerStreamUp) => {
    timer.cancel();
    call.pause();
    if (frame?.case !== 'open' || frame.value.request === undefined) {
      failCall(call, new ShoalError('invalid_argument', 'the first frame of a peer stream must be open, with a request'), PATH, log);
      return;
    }
    const { nodeId, request } = frame.value;
    options
      .open(nodeId, request, gone.signal)
      .then((stream) => passOn(call, stream, gone.signal))
      .then(
        () => {
          call.end();
        },
        (error: unknown) => {
          if (!gone.signal.aborted) failCall(call, error, PATH, log);
        },
      );
  });
}

/** Until the agent's last frame. */
async function passOn(call: PeerCall, stream: TaskStream, signal: AbortSignal): Promise<void> {
  const close = (): void => {
    stream.close();
  };
  if (signal.aborted) {
    close();
    return;
  }
  signal.addEventListener('abort', close, { once: true });
  call.on('data', ({ frame }: PeerStreamUp) => {
    if (frame?.case === 'down') passDown(call, stream, frame.value);
  });
  call.write({ frame: { case: 'accepted', value: {} } });
  call.resume();
  for await (const frame of stream) {
    if (!call.write({ frame: { case: 'up', value: frame } })) await room(call, signal);
  }
}

/** One frame at a time: while the agent's stream has no room, the peer is not read. */
function passDown(call: PeerCall, stream: TaskStream, frame: TaskStreamDown): void {
  call.pause();
  stream.send(frame).then(
    () => call.resume(),
    () => {
      // The stream's end reaches the peer through its iteration.
    },
  );
}

function room(call: PeerCall, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.on('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
