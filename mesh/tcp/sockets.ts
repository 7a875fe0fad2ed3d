// How sockets are made so that reading costs little: every socket reads into one buffer that all of them share, and what was read is handed over in the
// same call. Without it Node allocates 64 KiB and runs its stream machinery for every read, which is a fifth of what a small request costs.
// For accepted sockets Node has no such option, so the server's handle is asked for the raw connection; where it has none (another Node), plain 'data' events serve.
import { createServer, connect as netConnect, type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { READ_BUFFER_BYTES } from './limits.ts';

/** Takes a piece that is valid only during the call; false pauses the socket until its `resume`. */
export type Take = (piece: Buffer) => boolean;

/** Gets each new client, paused. Returns what takes its bytes; undefined: the client was refused and is gone. */
export type OnClient = (client: Socket) => Take | undefined;

const shared = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

interface RawHandle {
  setNoDelay?(on: boolean): void;
  close(): void;
}

interface RawServer {
  _handle?: { onconnection?: (status: number, handle: RawHandle | undefined) => void } | null;
}

/** Connects; connecting or not, errors come as events. The replica's bytes go to `take` as soon as it is connected. */
export function connectTo(host: string, port: number, take: Take): Socket {
  return netConnect({
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    // One address, one attempt: which replica comes next is the balancer's to say.
    autoSelectFamily: false,
    onread: { buffer: shared, callback: (length) => take(shared.subarray(0, length)) },
  });
}

/** A server not listening yet. `plain` leaves Node's internals alone. */
export function acceptClients(onClient: OnClient, plain = false): Server {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
    const take = onClient(client);
    if (take === undefined) return;
    client.on('data', (piece: Buffer) => {
      if (!take(piece)) client.pause();
    });
  });
  if (!plain) {
    server.on('listening', () => {
      takeRawConnections(server, onClient);
    });
  }
  return server;
}

function takeRawConnections(server: Server, onClient: OnClient): void {
  const handle = (server as unknown as RawServer)._handle;
  if (typeof handle?.onconnection !== 'function') return;
  const byNode = handle.onconnection;
  handle.onconnection = function onconnection(status, raw) {
    if (status !== 0 || raw === undefined) {
      byNode.call(this, status, raw);
      return;
    }
    raw.setNoDelay?.(true);
    const client = new Socket({
      handle: raw,
      allowHalfOpen: true,
      pauseOnCreate: true,
      onread: { buffer: shared, callback: (length: number) => take?.(shared.subarray(0, length)) ?? false },
    } as SocketConstructorOpts);
    const take = onClient(client);
  };
}

/** A copy that may be kept; small ones come from Node's pool. */
export function copyOf(piece: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(piece.length);
  copy.set(piece);
  return copy;
}
