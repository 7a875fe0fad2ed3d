// One address and port that the mesh listens on: opened, and tried again for as long as something else holds it. A failure is kept in plain words for the user.
import { Server } from 'node:net';
import { type Backoff, backoff } from '../lib/backoff.ts';
import { type Clock, type Timer } from '../lib/clock.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import { type Rng } from '../lib/rng.ts';
import { BACKLOG, LISTEN_RETRY } from './limits.ts';
import { type SocketBook, type SocketName } from './sockets/book.ts';

/** Listen on every address the host has, now or later: IPv6 and IPv4, or IPv4 alone where the host has no IPv6. */
export const ANY_ADDRESS = '*';

export interface ListenerOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly address: string;
  readonly port: number;
  readonly sockets: SocketBook;
  /** A server that does not listen yet; asked for one with each attempt. */
  readonly newServer: () => Server;
  /** `problem` has changed. */
  readonly onChange: () => void;
  readonly onAcceptError: (error: Error) => void;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #retry: Backoff;
  #server: Server | undefined;
  #timer: Timer | undefined;
  #problem: string | undefined;
  #closed = false;
  #host: string;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#retry = backoff(LISTEN_RETRY, options.rng);
    this.#host = options.address === ANY_ADDRESS ? '::' : options.address;
  }

  /** Why it does not listen, in plain words; undefined while it does, or before the first attempt is over. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Resolves when the first attempt is over, well or not. */
  async open(): Promise<void> {
    await this.#attempt();
  }

  /** No new clients from now on; those that were accepted stay. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    if (this.#server?.listening === true) this.#options.sockets.closed(this.#name);
    // Not an HTTP server's own close: that one cuts idle clients in the middle of their next request.
    if (this.#server !== undefined) Server.prototype.close.call(this.#server);
    this.#server = undefined;
  }

  get #name(): SocketName {
    return { kind: 'tcp', address: this.#options.address, port: this.#options.port };
  }

  async #attempt(): Promise<void> {
    const { sockets } = this.#options;
    const fd = sockets.take(this.#name);
    if (fd === undefined) await sockets.settled();
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const server = this.#options.newServer();
      this.#server = server;
      server.on('error', (error) => {
        if (server.listening) {
          this.#options.onAcceptError(error);
          return;
        }
        server.close();
        if (this.#closed) resolve();
        // What was left for it is no listening socket: one of its own, then.
        else resolve(fd === undefined ? this.#failed(error) : this.#attempt());
      });
      // Closed before it listened: nobody says so otherwise.
      server.on('close', resolve);
      server.on('listening', () => {
        this.#retry.reset();
        sockets.opened(this.#name, descriptorOf(server));
        this.#change(undefined);
        resolve();
      });
      if (fd === undefined) server.listen({ host: this.#host, port: this.#options.port, backlog: BACKLOG, exclusive: true });
      else server.listen({ fd, backlog: BACKLOG });
    });
  }

  #failed(error: Error): Promise<void> | undefined {
    const code = errnoOf(error);
    if (this.#host === '::' && this.#options.address === ANY_ADDRESS && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) {
      this.#host = '0.0.0.0';
      return this.#attempt();
    }
    this.#change(whyNotListening(this.#options, code, messageOf(error)));
    this.#timer = this.#options.clock.after(
      this.#retry.nextMs(),
      () => {
        void this.#attempt();
      },
      true,
    );
    return undefined;
  }

  #change(problem: string | undefined): void {
    if (this.#closed || this.#problem === problem) return;
    this.#problem = problem;
    this.#options.onChange();
  }
}

/** Of the listening socket; undefined where this Node does not tell. */
function descriptorOf(server: Server): number | undefined {
  return (server as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
}

/** In plain words. `code`: the system's, "EADDRINUSE". */
export function whyNotListening(options: Pick<ListenerOptions, 'address' | 'port'>, code: string | undefined, message: string): string {
  const port = String(options.port);
  const where = options.address === ANY_ADDRESS ? `port ${port}` : `port ${port} on ${options.address}`;
  const again = 'the mesh keeps trying';
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is taken by another program on this node; stop that program or publish another port (${again})`;
    case 'EACCES':
      return `${where} may not be opened by this user (ports below 1024 need CAP_NET_BIND_SERVICE); run the mesh with that right or publish a higher port (${again})`;
    case 'EADDRNOTAVAIL':
      return `${options.address} is not an address of this node; check --listen of the mesh (${again})`;
    default:
      return `${where} cannot be opened: ${message} (${again})`;
  }
}
