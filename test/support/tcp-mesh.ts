// The tcp path alone, on real sockets: a table in, connections through.
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRng } from '../../lib/rng.ts';
import { PortProtocol, type PortRoute, type RouteTarget } from '../../proto/index.ts';
import { fromMessage, type Table } from '../../mesh/table/table.ts';
import { type PortCounters } from '../../mesh/tcp/counters.ts';
import { DEFAULT_LIMITS, type Limits } from '../../mesh/limits.ts';
import { Ports } from '../../mesh/ports.ts';
import { TcpProtocol } from '../../mesh/tcp/protocol.ts';
import { routeOf, tableOf } from './routes.ts';
import { type Client, freePort, openClient, ownLoopback } from './sockets.ts';

export interface TcpMesh {
  readonly ports: Ports;
  readonly address: string;
  /** The published port of `route`. */
  readonly port: number;
  /** Puts a table in use that has this one port (and `others`). */
  route(targets: readonly RouteTarget[], more?: Partial<PortRoute>, others?: readonly PortRoute[]): Promise<void>;
  apply(ports: readonly PortRoute[]): Promise<void>;
  open(): Client;
  /** Of the port. */
  counters(): PortCounters;
  /** Ports that have counters. */
  readonly counted: number;
  readonly problemCalls: number;
  readonly idleCalls: readonly (readonly string[])[];
  stop(): Promise<void>;
}

export async function startTcpMesh(limits: Partial<Limits> = {}, nodeId = 'node-a'): Promise<TcpMesh> {
  const address = ownLoopback();
  const port = await freePort(address);
  const idleCalls: (readonly string[])[] = [];
  let revision = 0;
  let problemCalls = 0;
  const tcp = new TcpProtocol({ clock: systemClock, rng: seededRng(11), log: silentLogger, limits: { ...DEFAULT_LIMITS, ...limits } });
  const ports: Ports = new Ports({
    clock: systemClock,
    nodeId,
    addresses: [address],
    portOffset: 0,
    protocols: new Map([[PortProtocol.TCP, tcp]]),
    onProblems: () => problemCalls++,
    onIdle: () => idleCalls.push(ports.idle()),
  });
  const apply = (routes: readonly PortRoute[]): Promise<void> => ports.apply(fromMessage(tableOf(++revision, routes)) as Table);
  return {
    ports,
    address,
    port,
    apply,
    route: (targets, more = {}, others = []) => apply([routeOf(port, targets, more), ...others]),
    open: () => openClient(port, address),
    counters: () => {
      const counters = tcp.counters.get(port);
      if (counters === undefined) throw new Error('no counters');
      return counters;
    },
    get counted() {
      return tcp.counters.size;
    },
    get problemCalls() {
      return problemCalls;
    },
    idleCalls,
    stop: () => ports.stop(0),
  };
}
