// TCP ends for tests: replicas that do as they are told, clients that keep what they got, and ports that nobody holds.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Replica {
  readonly port: number;
  /** Connections taken so far. */
  readonly taken: number;
  readonly sockets: readonly Socket[];
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>;
}

/** Listens on `host`; `onClient` gets each connection (half-open allowed). */
export async function startReplica(onClient: (socket: Socket) => void, host = '127.0.0.1', port = 0): Promise<Replica> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onClient(socket);
  });
  await listening(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    get taken() {
      return sockets.length;
    },
    sockets,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => {
          resolve();
        });
      }),
  };
}

/** Sends back what it gets, its name first. */
export function echo(name = ''): (socket: Socket) => void {
  return (socket) => {
    if (name !== '') socket.write(name);
    socket.pipe(socket);
  };
}

/** A port that nobody holds on `host`. */
export async function freePort(host = ownLoopback()): Promise<number> {
  const server = createServer();
  await listening(server, host, 0);
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  return port;
}

export interface Client {
  readonly socket: Socket;
  /** Everything it got, as text. */
  readonly text: () => string;
  readonly bytes: number;
  /** The other side has ended its direction. */
  readonly ended: boolean;
  readonly closed: boolean;
  /** The code of the error it saw, "ECONNRESET" for one. */
  readonly error: string | undefined;
}

export function openClient(port: number, host = '127.0.0.1'): Client {
  const socket = connect({ port, host, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  let closed = false;
  let error: string | undefined;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
  });
  socket.on('end', () => {
    ended = true;
  });
  socket.on('error', (problem: NodeJS.ErrnoException) => {
    error = problem.code ?? problem.message;
  });
  socket.on('close', () => {
    closed = true;
  });
  return {
    socket,
    text: () => Buffer.concat(chunks).toString(),
    get bytes() {
      return bytes;
    },
    get ended() {
      return ended;
    },
    get closed() {
      return closed;
    },
    get error() {
      return error;
    },
  };
}

/** Listens, never accepts, and its backlog is full: a connect to it gets no answer at all, as from a host that is off. */
export async function startBlackhole(): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const script = `
    const server = require('node:net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
      process.stdout.write(server.address().port + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  // Linux queues one more than the backlog says.
  const fill = [openClient(port), openClient(port)];
  await Promise.all(fill.map((client) => once(client.socket, 'connect')));
  return {
    port,
    stop: async () => {
      for (const client of fill) client.socket.destroy();
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}

/** A loopback address that only this process uses: its ports are free unless this process takes them. */
export function ownLoopback(): string {
  return `127.${String(64 + ((process.pid >> 14) & 63))}.${String((process.pid >> 7) & 127)}.${String(1 + (process.pid & 127))}`;
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
