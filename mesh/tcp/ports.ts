// All published ports of this node: follows the table, opening, changing and closing what differs, and collects what could not be opened.
import { type Clock } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { keyOfRoute, type PortProblem, portKeyOf, PortProtocol, type PortRoute } from '../../proto/index.ts';
import { diffTables } from '../table/diff.ts';
import { type Table } from '../table/table.ts';
import { newCounters, type PortCounters } from './counters.ts';
import { Drains } from './drains.ts';
import { type Limits } from './limits.ts';
import { TcpPort } from './port.ts';

export interface TcpPortsOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** "" while it is not known: then no target is local. */
  readonly nodeId: string;
  /** Numeric addresses, or ANY_ADDRESS. */
  readonly addresses: readonly string[];
  /** Added to every published port. */
  readonly portOffset: number;
  readonly limits: Limits;
  /** `problems()` has changed. */
  readonly onProblems: () => void;
  /** `idle()` has changed between two tables. */
  readonly onIdle: () => void;
}

export class TcpPorts {
  readonly #options: TcpPortsOptions;
  readonly #drains: Drains;
  readonly #ports = new Map<string, TcpPort>();
  /** Gone from the table, with connections that still go on. */
  readonly #retired = new Set<TcpPort>();
  readonly #counters = new Map<number, PortCounters>();
  #table: Table | undefined;
  #nodeId: string;
  #onEmpty: (() => void) | undefined;

  constructor(options: TcpPortsOptions) {
    this.#options = options;
    this.#nodeId = options.nodeId;
    this.#drains = new Drains(options.onIdle);
  }

  /** By published port; a port that is gone keeps its numbers until its last connection ends. */
  get counters(): ReadonlyMap<number, Readonly<PortCounters>> {
    return this.#counters;
  }

  /** Open connections, those of retired ports included. */
  get connections(): number {
    let sum = 0;
    for (const port of this.#everyPort()) sum += port.size;
    return sum;
  }

  /** Resolves when every new port is open or has its problem. Never rejects. */
  async apply(table: Table): Promise<void> {
    const diff = diffTables(this.#table, table);
    this.#table = table;
    this.#drains.update(table.ports.values());
    for (const route of diff.removed) this.#remove(route);
    for (const route of diff.changed) this.#ports.get(portKeyOf(keyOfRoute(route)))?.update(route, this.#nodeId);
    const opening = diff.added.map((route) => this.#add(route));
    // Ports that the mesh cannot serve have come or gone without a listener that could say so.
    if ([...diff.added, ...diff.removed].some((route) => this.#unserved(route) !== undefined)) this.#options.onProblems();
    await Promise.all(opening);
  }

  /** The agent has said which node this is: its own targets are reached at their containers from now on. */
  setNodeId(nodeId: string): void {
    if (nodeId === this.#nodeId) return;
    this.#nodeId = nodeId;
    for (const [key, port] of this.#ports) {
      const route = this.#table?.ports.get(key);
      if (route !== undefined) port.update(route, nodeId);
    }
  }

  /** Complete list, by ascending port. */
  problems(): readonly PortProblem[] {
    const problems: PortProblem[] = [];
    for (const [key, route] of this.#table?.ports ?? []) {
      const message = this.#unserved(route) ?? this.#ports.get(key)?.problem;
      if (message !== undefined) problems.push({ protocol: route.protocol, publishedPort: route.publishedPort, message });
    }
    return problems.sort((a, b) => a.publishedPort - b.publishedPort || a.protocol - b.protocol);
  }

  /** Complete list of draining tasks without a connection. */
  idle(): readonly string[] {
    return this.#drains.idle();
  }

  /** Closes the listeners, lets open connections end for `periodMs`, then ends them. */
  async stop(periodMs: number): Promise<void> {
    for (const port of this.#ports.values()) port.close();
    if (this.connections > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        this.#options.clock.after(periodMs, resolve, true);
      });
    }
    for (const port of this.#everyPort()) port.closeConnections();
  }

  async #add(route: PortRoute): Promise<void> {
    if (this.#unserved(route) !== undefined) return;
    const number = route.publishedPort;
    const counters = this.#counters.get(number) ?? newCounters();
    this.#counters.set(number, counters);
    const { clock, rng, log, addresses, portOffset, limits, onProblems } = this.#options;
    const port: TcpPort = new TcpPort(
      {
        clock,
        rng,
        log,
        addresses,
        listenPort: number + portOffset,
        limits,
        drains: this.#drains,
        counters,
        onProblem: onProblems,
        onEmpty: () => {
          this.#emptied(port, number);
        },
      },
      route,
      this.#nodeId,
    );
    this.#ports.set(portKeyOf(keyOfRoute(route)), port);
    await port.open();
  }

  #remove(route: PortRoute): void {
    const key = portKeyOf(keyOfRoute(route));
    const port = this.#ports.get(key);
    if (port === undefined) return;
    const hadProblem = port.problem !== undefined;
    this.#ports.delete(key);
    this.#retired.add(port);
    port.close();
    if (port.size === 0) this.#emptied(port, route.publishedPort);
    if (hadProblem) this.#options.onProblems();
  }

  #emptied(port: TcpPort, number: number): void {
    if (
      this.#retired.delete(port) &&
      !this.#ports.has(portKeyOf({ protocol: PortProtocol.TCP, publishedPort: number, host: '', path: '' }))
    ) {
      this.#counters.delete(number);
    }
    if (this.#onEmpty !== undefined && this.connections === 0) this.#onEmpty();
  }

  *#everyPort(): Generator<TcpPort> {
    yield* this.#ports.values();
    yield* this.#retired;
  }

  /** Why the mesh cannot serve this port at all; undefined: it can. */
  #unserved(route: PortRoute): string | undefined {
    // A table of a newer manager may name protocols that this version has no name for.
    switch (route.protocol as number) {
      case PortProtocol.TCP:
        break;
      case PortProtocol.UDP:
        return 'udp is not supported yet';
      case PortProtocol.HTTP:
        return 'http is not supported yet; publish the port as tcp';
      default:
        return 'this version of the mesh does not know its protocol; update this node';
    }
    const valid = route.publishedPort > 0 && route.publishedPort + this.#options.portOffset < 65_536;
    return valid ? undefined : 'not a port number';
  }
}
