// The sockets of one published UDP port that clients send to. An answer must leave from the address that the client sent to, and Node cannot choose the source of
// a datagram of a socket that is bound to all addresses; so there is one socket per address, also where the mesh is to listen on all that the host has.
import { type RemoteInfo } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { ANY_ADDRESS, whyNotListening } from '../listener.ts';
import { ClientSide } from './clients.ts';
import { type SocketBook, type SocketName } from '../sockets/book.ts';
import { RECEIVE_BUFFER_BYTES } from './limits.ts';
import { adoptNow, bindNow, descriptorOf, familyOf, newSocket } from './sockets.ts';

export interface ClientSidesOptions {
  /** Numeric addresses, or ANY_ADDRESS. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly sockets: SocketBook;
  readonly onDatagram: (side: ClientSide, message: Buffer, from: RemoteInfo) => void;
  /** `problem` has changed. */
  readonly onChange: () => void;
  /** The socket is gone, its address with it. */
  readonly onLost: (side: ClientSide) => void;
}

export class ClientSides {
  readonly #options: ClientSidesOptions;
  readonly #open = new Map<string, ClientSide>();
  #problem: string | undefined;

  constructor(options: ClientSidesOptions) {
    this.#options = options;
  }

  /** Why some address is not listened on, in plain words. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Listens where it should and does not yet, and no longer where the host has lost the address. `hostAddresses`: those of `addressesOfHost`. */
  refresh(hostAddresses: readonly string[]): void {
    const any = this.#options.addresses.includes(ANY_ADDRESS);
    const wanted = new Set(any ? hostAddresses : this.#options.addresses);
    for (const address of this.#open.keys()) {
      if (!wanted.has(address)) this.#close(address);
    }
    const problems: string[] = [];
    for (const address of wanted) {
      if (this.#open.has(address)) continue;
      const error = this.#listen(address);
      // An address that goes, or is not ready yet, is no problem where no one asked for it by name.
      if (error === undefined || (any && errnoOf(error) === 'EADDRNOTAVAIL')) continue;
      problems.push(whyNotListening({ address, port: this.#options.port }, errnoOf(error), messageOf(error)));
    }
    const problem = problems.length === 0 ? undefined : problems.join('; ');
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onChange();
  }

  close(): void {
    for (const address of [...this.#open.keys()]) this.#close(address);
  }

  #listen(address: string): Error | undefined {
    const { sockets, port } = this.#options;
    const name = this.#nameOf(address);
    const fd = sockets.take(name);
    const socket = newSocket(familyOf(address), RECEIVE_BUFFER_BYTES);
    const error = fd === undefined ? bindNow(socket, address, port) : adoptNow(socket, fd);
    if (error !== undefined) {
      socket.close();
      return error;
    }
    sockets.opened(name, descriptorOf(socket));
    const side = new ClientSide(socket);
    socket.on('message', (message, from) => {
      this.#options.onDatagram(side, message, from);
    });
    this.#open.set(address, side);
    return undefined;
  }

  #nameOf(address: string): SocketName {
    return { kind: 'udp', address, port: this.#options.port };
  }

  #close(address: string): void {
    const side = this.#open.get(address);
    if (side === undefined) return;
    this.#open.delete(address);
    this.#options.onLost(side);
    this.#options.sockets.closed(this.#nameOf(address));
    side.socket.close();
  }
}

/** Every address the host has now, those of the loopback too; an IPv6 one that holds on one link only names the link. */
export function addressesOfHost(): readonly string[] {
  const addresses: string[] = [];
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    for (const { address, family, scopeid } of entries ?? []) {
      addresses.push(family === 'IPv6' && scopeid !== 0 ? `${address}%${name}` : address);
    }
  }
  return [...new Set(addresses)];
}
