// All published ports of this node, of any protocol: follows the table, opening, changing and closing what differs, and collects what could not be opened.
import { type Clock } from '../lib/clock.ts';
import { keyOfRoute, type PortProblem, portKeyOf, type PortProtocol, type PortRoute } from '../proto/index.ts';
import { Drains } from './drains.ts';
import { type PortLook, type Protocol, type ServedPort } from './served-port.ts';
import { SocketBook } from './sockets/book.ts';
import { diffTables } from './table/diff.ts';
import { type Table } from './table/table.ts';

export interface PortsOptions {
  readonly clock: Clock;
  /** "" while it is not known: then no target is local. */
  readonly nodeId: string;
  /** Numeric addresses, or ANY_ADDRESS. */
  readonly addresses: readonly string[];
  /** Added to every published port. */
  readonly portOffset: number;
  readonly protocols: ReadonlyMap<PortProtocol, Protocol>;
  /** Unless given, none are left by an earlier mesh. */
  readonly sockets?: SocketBook;
  /** `problems()` has changed. */
  readonly onProblems: () => void;
  /** `idle()` has changed between two tables. */
  readonly onIdle: () => void;
}

/** A port of the table, whether or not it is served. */
export interface SeenPort {
  readonly protocol: PortProtocol;
  readonly publishedPort: number;
  /** Why it is not, or not fully, served, in plain words. */
  readonly problem: string | undefined;
  readonly routes: readonly PortRoute[];
  /** Undefined: the mesh cannot serve it at all. */
  look(): PortLook | undefined;
}

/** A number of one protocol, with all routes of the table that share it. */
interface Published {
  readonly protocol: PortProtocol;
  readonly number: number;
  /** By `portKeyOf`. */
  readonly routes: Map<string, PortRoute>;
  /** Undefined: the mesh cannot serve it at all. */
  served: ServedPort | undefined;
}

export class Ports {
  readonly #options: PortsOptions;
  readonly #sockets: SocketBook;
  readonly #drains: Drains;
  /** By protocol and number. */
  readonly #published = new Map<string, Published>();
  /** Gone from the table, with connections that still go on. */
  readonly #retired = new Map<ServedPort, Published>();
  #table: Table | undefined;
  #nodeId: string;
  #onEmpty: (() => void) | undefined;
  #handedOver = false;

  constructor(options: PortsOptions) {
    this.#options = options;
    this.#sockets = options.sockets ?? new SocketBook();
    this.#nodeId = options.nodeId;
    this.#drains = new Drains(options.onIdle);
  }

  /** Also for those who open connections past the served ports. */
  get drains(): Drains {
    return this.#drains;
  }

  /** What is open, on retired ports too; after `handOver` all clients that are here. */
  get connections(): number {
    let sum = 0;
    for (const port of this.#everyPort()) sum += this.#handedOver ? port.clients : port.size;
    return sum;
  }

  /** Resolves when every new port is open or has its problem. Never rejects. */
  async apply(table: Table): Promise<void> {
    const diff = diffTables(this.#table, table);
    this.#table = table;
    this.#drains.update(table.ports.values());
    const touched = new Set<Published>();
    for (const route of diff.removed) {
      const published = this.#published.get(nameOf(route));
      published?.routes.delete(portKeyOf(keyOfRoute(route)));
      if (published !== undefined) touched.add(published);
    }
    for (const route of [...diff.changed, ...diff.added]) {
      const published = this.#published.get(nameOf(route)) ?? this.#publish(route);
      published.routes.set(portKeyOf(keyOfRoute(route)), route);
      touched.add(published);
    }
    await Promise.all([...touched].map((published) => this.#follow(published)));
  }

  /** The agent has said which node this is: its own targets are reached at their containers from now on. */
  setNodeId(nodeId: string): void {
    if (nodeId === this.#nodeId) return;
    this.#nodeId = nodeId;
    for (const { served, routes } of this.#published.values()) served?.update([...routes.values()], nodeId);
  }

  /** Why the route's port is not, or not fully, served here. */
  problemOf(route: PortRoute): string | undefined {
    const published = this.#published.get(nameOf(route));
    return published === undefined ? 'it is not served' : (this.#unserved(published) ?? published.served?.problem);
  }

  /** Complete list, by ascending port. */
  problems(): readonly PortProblem[] {
    const problems: PortProblem[] = [];
    for (const published of this.#published.values()) {
      const message = this.#unserved(published) ?? published.served?.problem;
      if (message !== undefined) problems.push({ protocol: published.protocol, publishedPort: published.number, message });
    }
    return problems.sort((a, b) => a.publishedPort - b.publishedPort || a.protocol - b.protocol);
  }

  /** Those of the table, in no order. */
  *seen(): Generator<SeenPort> {
    for (const published of this.#published.values()) {
      yield {
        protocol: published.protocol,
        publishedPort: published.number,
        problem: this.#unserved(published) ?? published.served?.problem,
        routes: [...published.routes.values()],
        look: () => published.served?.look(),
      };
    }
  }

  /** Complete list of draining tasks without a connection. */
  idle(): readonly string[] {
    return this.#drains.idle();
  }

  /** Another process has the listening sockets now. Tables are followed on, for the clients that are here; ports are not opened any more. */
  handOver(): void {
    this.#handedOver = true;
    for (const { served } of this.#published.values()) served?.handOver();
  }

  /** Resolves when the last client is gone, or after `periodMs`. */
  async emptied(periodMs: number): Promise<void> {
    if (this.connections === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      this.#options.clock.after(periodMs, resolve, true);
    });
  }

  /** Closes the listeners, lets open connections end for `periodMs`, then ends them. */
  async stop(periodMs: number): Promise<void> {
    for (const { served } of this.#published.values()) served?.close();
    await this.emptied(periodMs);
    for (const port of this.#everyPort()) port.closeConnections();
  }

  #publish(route: PortRoute): Published {
    const published: Published = { protocol: route.protocol, number: route.publishedPort, routes: new Map(), served: undefined };
    this.#published.set(nameOf(route), published);
    return published;
  }

  /** Brings the port to what its routes now are. */
  async #follow(published: Published): Promise<void> {
    const routes = [...published.routes.values()];
    if (routes.length === 0) {
      this.#remove(published);
    } else if (published.served !== undefined) {
      published.served.update(routes, this.#nodeId);
    } else if (!this.#handedOver) {
      published.served = this.#serve(published, routes);
      // One that cannot be served has no listener that could say so.
      if (published.served === undefined) this.#options.onProblems();
      await published.served?.open();
    }
  }

  #serve(published: Published, routes: readonly PortRoute[]): ServedPort | undefined {
    if (this.#unserved(published) !== undefined) return undefined;
    const { addresses, portOffset, onProblems, protocols } = this.#options;
    const served: ServedPort | undefined = protocols.get(published.protocol)?.serve(
      {
        publishedPort: published.number,
        listenPort: published.number + portOffset,
        addresses,
        drains: this.#drains,
        sockets: this.#sockets,
        onProblem: onProblems,
        onEmpty: () => {
          if (served !== undefined) this.#emptied(served);
        },
      },
      routes,
      this.#nodeId,
    );
    return served;
  }

  #remove(published: Published): void {
    this.#published.delete(nameOf({ protocol: published.protocol, publishedPort: published.number }));
    const { served } = published;
    if (served === undefined || served.problem !== undefined) this.#options.onProblems();
    if (served === undefined) return;
    this.#retired.set(served, published);
    served.close();
    if (served.size === 0) this.#emptied(served);
  }

  #emptied(port: ServedPort): void {
    const retired = this.#retired.get(port);
    if (retired !== undefined) {
      this.#retired.delete(port);
      port.closeConnections();
      const { protocol, number } = retired;
      if (!this.#published.has(nameOf({ protocol, publishedPort: number }))) this.#options.protocols.get(protocol)?.forget(number);
    }
    if (this.#onEmpty !== undefined && this.connections === 0) this.#onEmpty();
  }

  *#everyPort(): Generator<ServedPort> {
    for (const { served } of this.#published.values()) {
      if (served !== undefined) yield served;
    }
    yield* this.#retired.keys();
  }

  /** Why the mesh cannot serve this port at all; undefined: it can. */
  #unserved({ protocol, number }: Published): string | undefined {
    // A table of a newer manager may name protocols that this version has no name for.
    if (!this.#options.protocols.has(protocol)) return 'this version of the mesh does not know its protocol; update this node';
    return number > 0 && number + this.#options.portOffset < 65_536 ? undefined : 'not a port number';
  }
}

function nameOf({ protocol, publishedPort }: Pick<PortRoute, 'protocol' | 'publishedPort'>): string {
  return `${String(protocol)}/${String(publishedPort)}`;
}
