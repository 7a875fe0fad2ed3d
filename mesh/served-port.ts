// What a published port is to the mesh, whatever its protocol: mesh/ports.ts opens, changes and closes ports through these interfaces alone.
import { type PortRoute } from '../proto/index.ts';
import { type Replica } from './balance/balancer.ts';
import { type Drains } from './drains.ts';
import { type SocketBook } from './sockets/book.ts';

/** One port that is served on this node, alone by its number and protocol. */
export interface ServedPort {
  /** Connections, flows or requests that are open. */
  readonly size: number;
  /** Why it is not, or not fully, served, in plain words. */
  readonly problem: string | undefined;
  /** Resolves when every address has been tried once. Never rejects. */
  open(): Promise<void>;
  /** At least one; more than one for HTTP only. */
  update(routes: readonly PortRoute[], nodeId: string): void;
  /** No new clients, and those that still wait for a replica are refused; what is open goes on to its end. */
  close(): void;
  /** Ends what is still open. Follows `close`. */
  closeConnections(): void;
  /** Another process has the port now: no new clients here. Those that are here, waiting ones too, are served on. */
  handOver(): void;
  /** Clients that are here; where they may come back with more, those that have nothing open, too. */
  readonly clients: number;
  /** As it is now, for people. */
  look(): PortLook;
}

export interface PortLook {
  /** As MeshPort.rejected has it. */
  readonly rejected: number;
  readonly routes: readonly RouteLook[];
}

/** The numbers are those of MeshRoute. */
export interface RouteLook {
  readonly route: PortRoute;
  /** Those of the route's targets that have an address. */
  readonly replicas: readonly Replica[];
  readonly open: number;
  readonly waiting: number;
  readonly total: number;
  readonly replicaFailures: number;
  readonly refused: number;
}

/** What a served port has around it. */
export interface PortHost {
  readonly publishedPort: number;
  /** The published one, unless the mesh shifts them. */
  readonly listenPort: number;
  /** Numeric addresses, or ANY_ADDRESS. */
  readonly addresses: readonly string[];
  readonly drains: Drains;
  readonly sockets: SocketBook;
  /** `problem` has changed. */
  readonly onProblem: () => void;
  /** `size` or `clients` has come to 0. */
  readonly onEmpty: () => void;
}

export interface Protocol {
  /** A port that is not open yet. */
  serve(host: PortHost, routes: readonly PortRoute[], nodeId: string): ServedPort;
  /** The port is gone, with everything that was open on it: so may its numbers. */
  forget(publishedPort: number): void;
}
