// The way in to a gRPC server: TCP connections that begin as HTTP/2 does are let in, all others are turned away, with a reason for people and in the
// log. grpc-js would take any connection, keep one that says nothing, and tell nobody.
import { createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../clock.ts';
import { errnoOf, messageOf, ShoalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type RareLog, rareLog } from '../rare-log.ts';

export interface DoorOptions {
  readonly log: Logger;
  /** Takes the connection over; what was read of it is back in its buffer. */
  readonly admit: (socket: Socket) => void;
  /** False: what comes is encrypted, and nothing can be said of it here. */
  readonly plain: boolean;
}

export interface Door {
  /** Resolves to the port. Rejects with `unavailable` where the address cannot be had. */
  open(address: string): Promise<number>;
  /** Takes no more connections, and drops those that are not let in yet. */
  close(): void;
}

/** What every HTTP/2 client sends first (RFC 9113, 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** It comes with the first packet. */
const PREFACE_MS = 10_000;
/** Agents, their streams' connections, and clients; below what file descriptors usually allow. */
const MAX_CONNECTIONS = 16_384;
/** For the client to read why, before the connection is cut. */
const LINGER_MS = 1000;

const NO_GRPC = 'a connection was refused: it does not speak gRPC';

export function createDoor({ log, admit, plain }: DoorOptions): Door {
  const waiting = new Set<Socket>();
  const warn = rareLog(log, systemClock);
  const server = createServer({ noDelay: true }, (socket) => {
    const peer = `${socket.remoteAddress ?? ''}:${String(socket.remotePort ?? 0)}`;
    socket.on('error', (error) => {
      // After it was let in: HTTP/2 was not kept to. Whatever else breaks a connection is everyday life.
      if (errnoOf(error)?.startsWith('ERR_HTTP2') === true)
        warn('a connection was ended: it broke HTTP/2', { peer, reason: error.message });
    });
    if (plain) greet(socket, peer, waiting, warn, admit);
    else admit(socket);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('drop', () => {
    warn('a connection was refused: there are too many', { limit: MAX_CONNECTIONS });
  });
  return {
    open: (address) => listen(server, address, warn),
    close() {
      server.close();
      for (const socket of waiting) socket.destroy();
    },
  };
}

function greet(socket: Socket, peer: string, waiting: Set<Socket>, warn: RareLog, admit: (socket: Socket) => void): void {
  let bytes: Buffer = Buffer.alloc(0);
  const settle = (): void => {
    timer.cancel();
    waiting.delete(socket);
    socket.off('readable', read);
    socket.off('close', settle);
  };
  const refuse = (reason: string, answer = ''): void => {
    settle();
    warn(NO_GRPC, { peer, reason });
    socket.resume();
    socket.end(answer);
    systemClock.after(LINGER_MS, () => socket.destroy(), true);
  };
  const read = (): void => {
    for (let chunk = next(socket); chunk !== null; chunk = next(socket)) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= PREFACE.length) break;
    }
    const common = Math.min(bytes.length, PREFACE.length);
    if (!bytes.subarray(0, common).equals(PREFACE.subarray(0, common))) {
      const { reason, answer } = judge(bytes);
      refuse(reason, answer);
    } else if (common === PREFACE.length) {
      settle();
      socket.unshift(bytes);
      admit(socket);
    }
  };
  const timer = systemClock.after(
    PREFACE_MS,
    () => {
      refuse(bytes.length === 0 ? `it said nothing for ${PREFACE_MS / 1000} s` : 'it did not go on after its first bytes');
    },
    true,
  );
  waiting.add(socket);
  socket.on('readable', read);
  socket.on('close', settle);
}

function next(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}

function judge(bytes: Buffer): { readonly reason: string; readonly answer: string } {
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return { reason: 'TLS; this port takes unencrypted connections', answer: '' };
  if (/^[A-Z]{3,10} /.test(bytes.toString('latin1', 0, 12))) {
    const text = 'This port speaks gRPC over HTTP/2 only.\n';
    const head = `HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n`;
    return { reason: 'HTTP/1', answer: head + text };
  }
  return { reason: 'its first bytes are not HTTP/2', answer: '' };
}

function listen(server: Server, address: string, warn: RareLog): Promise<number> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(new ShoalError('unavailable', `cannot listen on ${address}: ${reasonOf(error)}`, { cause: error }));
    });
    server.listen({ host, port: Number(address.slice(colon + 1)) }, () => {
      server.removeAllListeners('error');
      // Of accepting, such as too many open files: the connection is lost, the others are not.
      server.on('error', (error) => {
        warn('a connection could not be accepted', { reason: messageOf(error) });
      });
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : 0);
    });
  });
}

function reasonOf(error: Error): string {
  switch (errnoOf(error)) {
    case 'EADDRINUSE':
      return 'something else listens there already; stop it, or choose another port';
    case 'EADDRNOTAVAIL':
      return 'this host has no such address';
    case 'EACCES':
      return 'not allowed; ports below 1024 need root';
    default:
      return error.message;
  }
}
