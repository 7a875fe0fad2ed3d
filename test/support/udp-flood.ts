// Many clients of one UDP port: each sends one datagram from an address and port of its own and is gone; the mesh keeps its flow until it is idle.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { until } from './until.ts';

export interface Flood {
  readonly clients: number;
  /** Number of the first client; 0 unless given. */
  readonly first?: number;
  readonly port: number;
  readonly address: string;
  /** Datagrams that have arrived where they should; those of one batch are awaited before the next. */
  readonly arrived: () => number;
}

/** Small enough for the default receive buffer of a socket. */
const BATCH = 100;
/** Ports used on each loopback address. */
const PER_ADDRESS = 5000;
const FIRST_PORT = 10_000;

/** Clients come from 127.32.0.0/16. */
export async function flood({ clients, first: offset = 0, port, address, arrived }: Flood): Promise<void> {
  const before = arrived();
  for (let first = 0; first < clients; first += BATCH) {
    const last = Math.min(clients, first + BATCH);
    await Promise.all(Array.from({ length: last - first }, (_, index) => sendOne(offset + first + index, port, address)));
    await until(
      () => arrived() - before >= last,
      () => `${arrived() - before} of ${last} arrived`,
    );
  }
}

async function sendOne(client: number, port: number, address: string): Promise<void> {
  const socket = createSocket('udp4');
  socket.bind(FIRST_PORT + (client % PER_ADDRESS), `127.32.0.${1 + Math.floor(client / PER_ADDRESS)}`);
  await once(socket, 'listening');
  await new Promise((resolve) => {
    socket.send(`${client}`, port, address, resolve);
  });
  socket.close();
}
