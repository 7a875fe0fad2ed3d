// The udp path alone, on real sockets: a table in, datagrams through; and its ends: replicas that answer with their name, clients that keep what they got.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { systemClock } from '../../lib/clock.ts';
import { seededRng } from '../../lib/rng.ts';
import { ANY_ADDRESS } from '../../mesh/listener.ts';
import { Ports } from '../../mesh/ports.ts';
import { fromMessage, type Table } from '../../mesh/table/table.ts';
import { type UdpCounters } from '../../mesh/udp/counters.ts';
import { UdpProtocol } from '../../mesh/udp/protocol.ts';
import { PortProtocol, type PortRoute, type RouteTarget } from '../../proto/index.ts';
import { routeOf, tableOf } from './routes.ts';
import { ownLoopback } from './sockets.ts';
import { until } from './until.ts';

export interface UdpEnd {
  readonly socket: Socket;
  readonly port: number;
  /** Texts of what it got. */
  readonly got: readonly string[];
  readonly from: readonly RemoteInfo[];
  close(): void;
}

/** Bound to `address`; `answer`, where given, says what to send back. */
export async function openUdp(answer?: (text: string) => string | undefined, address = '127.0.0.1', port = 0): Promise<UdpEnd> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
  const got: string[] = [];
  const from: RemoteInfo[] = [];
  let open = true;
  socket.on('error', () => undefined);
  socket.on('message', (message, sender) => {
    got.push(message.toString());
    from.push(sender);
    const text = answer?.(message.toString());
    if (text !== undefined) socket.send(text, sender.port, sender.address);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  return {
    socket,
    port: socket.address().port,
    got,
    from,
    close: () => {
      if (open) socket.close();
      open = false;
    },
  };
}

export interface UdpMesh {
  readonly ports: Ports;
  readonly udp: UdpProtocol;
  readonly address: string;
  readonly port: number;
  /** Puts a table in use that has this one port. */
  route(targets: readonly RouteTarget[], more?: Partial<PortRoute>): Promise<void>;
  apply(ports: readonly PortRoute[]): Promise<void>;
  counters(): UdpCounters;
  /** Sends until an answer comes, as clients of UDP do, and returns the first that ends with the text. */
  ask(client: UdpEnd, text: string, address?: string): Promise<string>;
  readonly idleCalls: readonly (readonly string[])[];
  stop(): Promise<void>;
}

export interface UdpMeshOptions {
  readonly ownSocketsPerReplica?: number;
  /** Listens on all that this says, in place of one address. */
  readonly hostAddresses?: () => readonly string[];
}

export async function startUdpMesh(options: UdpMeshOptions = {}): Promise<UdpMesh> {
  const address = ownLoopback();
  const probe = await openUdp(undefined, address);
  const { port } = probe;
  probe.close();
  const idleCalls: (readonly string[])[] = [];
  let revision = 0;
  const udp = new UdpProtocol({ clock: systemClock, rng: seededRng(11), ...options });
  const ports: Ports = new Ports({
    clock: systemClock,
    nodeId: 'node-a',
    addresses: [options.hostAddresses === undefined ? address : ANY_ADDRESS],
    portOffset: 0,
    protocols: new Map([[PortProtocol.UDP, udp]]),
    onProblems: () => undefined,
    onIdle: () => idleCalls.push(ports.idle()),
  });
  const apply = (routes: readonly PortRoute[]): Promise<void> => ports.apply(fromMessage(tableOf(++revision, routes)) as Table);
  return {
    ports,
    udp,
    address,
    port,
    apply,
    route: (targets, more = {}) => apply([routeOf(port, targets, { protocol: PortProtocol.UDP, ...more })]),
    counters: () => udp.counters.get(port) ?? fail(),
    ask: async (client, text, to = address) => {
      const before = client.got.length;
      // An answer to an earlier question that was asked twice may still come.
      const answer = (): string | undefined => client.got.slice(before).find((each) => each.endsWith(text));
      await until(
        () => {
          if (answer() === undefined) client.socket.send(text, port, to);
          return answer() !== undefined;
        },
        `an answer to ${text.slice(0, 40)}`,
      );
      return answer() ?? '';
    },
    idleCalls,
    stop: () => ports.stop(0),
  };
}

function fail(): never {
  throw new Error('no counters');
}
