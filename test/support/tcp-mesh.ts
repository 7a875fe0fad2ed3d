// The tcp path alone, on real sockets: a table in, connections through.
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRng } from '../../lib/rng.ts';
import { type PortRoute, type RouteTarget } from '../../proto/index.ts';
import { fromMessage, type Table } from '../../mesh/table/table.ts';
import { type PortCounters } from '../../mesh/tcp/counters.ts';
import { DEFAULT_LIMITS, type Limits } from '../../mesh/tcp/limits.ts';
import { TcpPorts } from '../../mesh/tcp/ports.ts';
import { routeOf, tableOf } from './routes.ts';
import { type Client, freePort, openClient, ownLoopback } from './sockets.ts';

export interface TcpMesh {
  readonly ports: TcpPorts;
  readonly address: string;
  /** The published port of `route`. */
  readonly port: number;
  /** Puts a table in use that has this one port (and `others`). */
  route(targets: readonly RouteTarget[], more?: Partial<PortRoute>, others?: readonly PortRoute[]): Promise<void>;
  apply(ports: readonly PortRoute[]): Promise<void>;
  open(): Client;
  /** Of the port. */
  counters(): PortCounters;
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
  const ports: TcpPorts = new TcpPorts({
    clock: systemClock,
    rng: seededRng(11),
    log: silentLogger,
    nodeId,
    addresses: [address],
    portOffset: 0,
    limits: { ...DEFAULT_LIMITS, ...limits },
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
      const counters = ports.counters.get(port);
      if (counters === undefined) throw new Error('no counters');
      return counters;
    },
    get problemCalls() {
      return problemCalls;
    },
    idleCalls,
    stop: () => ports.stop(0),
  };
}
