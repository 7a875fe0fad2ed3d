// gRPC by hand over node:http2, for clients that do what no library would: bytes that are no messages, answers that nobody reads.
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';

export interface RawConnection {
  readonly session: ClientHttp2Session;
  readonly closed: boolean;
  /** Opens a call and sends `bytes` as they are; nothing of the answer is read unless the test does. */
  call(path: string, bytes?: Uint8Array): ClientHttp2Stream;
  close(): void;
}

export function rawConnection(address: string): RawConnection {
  // Its own limit must not come before the server's.
  const session = connect(`http://${address}`, { maxSessionMemory: 1000 });
  session.on('error', () => undefined);
  return {
    session,
    get closed() {
      return session.closed || session.destroyed;
    },
    call(path, bytes) {
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
      stream.on('error', () => undefined);
      if (bytes !== undefined) stream.write(bytes);
      return stream;
    },
    close: () => session.destroy(),
  };
}

/** A message as gRPC frames it; `claimed`: the length that the frame says it has. */
export function framed(message: Uint8Array, claimed = message.length): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(claimed, 1);
  return Buffer.concat([head, message]);
}

/** Resolves to the gRPC status code of the call's trailers, "cut" where it ended without. */
export function statusOf(stream: ClientHttp2Stream): Promise<string> {
  stream.resume();
  return new Promise((resolve) => {
    const take = (headers: { readonly [name: string]: unknown }): void => {
      if (typeof headers['grpc-status'] === 'string') resolve(headers['grpc-status']);
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('close', () => resolve('cut'));
  });
}
