// One published TCP port on this node: its listeners, its replicas, its clients and the limits on them.
import { type Socket } from 'node:net';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { type PortRoute } from '../../proto/index.ts';
import { Balancer } from '../balance/balancer.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { type PortCounters } from './counters.ts';
import { type Drains } from './drains.ts';
import { CONNECT_TIMEOUT_MS, IDLE_TIMEOUT_MS, type Limits, SWEEP_INTERVAL_MS } from './limits.ts';
import { Listener } from './listener.ts';
import { type Take } from './sockets.ts';

export interface TcpPortOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Numeric addresses, or ANY_ADDRESS. */
  readonly addresses: readonly string[];
  /** The published one, unless the mesh shifts them. */
  readonly listenPort: number;
  readonly limits: Limits;
  readonly drains: Drains;
  readonly counters: PortCounters;
  /** `problem` has changed. */
  readonly onProblem: () => void;
  /** The last connection is gone. */
  readonly onEmpty: () => void;
}

/** Refusals to accept come in swarms: one line says enough for so long. */
const ACCEPT_LOG_INTERVAL_MS = 10_000;

export class TcpPort implements ConnectionHost {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly balancer: Balancer;
  readonly drains: Drains;
  readonly counters: PortCounters;
  readonly #options: TcpPortOptions;
  readonly #listeners: readonly Listener[];
  readonly #connections = new Set<Connection>();
  readonly #held = new Set<Connection>();
  #route: PortRoute;
  #sweep: Timer | undefined;
  #closed = false;
  #acceptLoggedMs = -Infinity;

  constructor(options: TcpPortOptions, route: PortRoute, nodeId: string) {
    this.#options = options;
    this.#route = route;
    this.clock = options.clock;
    this.rng = options.rng;
    this.drains = options.drains;
    this.counters = options.counters;
    this.balancer = new Balancer(options);
    this.balancer.update(route.targets, nodeId);
    this.#listeners = options.addresses.map(
      (address) =>
        new Listener({
          clock: options.clock,
          rng: options.rng,
          address,
          port: options.listenPort,
          onClient: (client) => this.#accept(client),
          onChange: options.onProblem,
          onAcceptError: (error) => {
            this.#acceptFailed(error);
          },
        }),
    );
  }

  get connectTimeoutMs(): number {
    return this.#route.settings?.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  }

  get holdMs(): number {
    return this.#options.limits.holdMs;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Why it does not listen on some address, in plain words. */
  get problem(): string | undefined {
    const problems = this.#listeners.map((listener) => listener.problem).filter((problem) => problem !== undefined);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  /** Resolves when every address has been tried once. */
  async open(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.open()));
  }

  update(route: PortRoute, nodeId: string): void {
    this.#route = route;
    this.balancer.update(route.targets, nodeId);
    if (this.balancer.size === 0) return;
    for (const connection of [...this.#held]) connection.wake();
  }

  /** No new clients, and those that still wait for a replica are reset; open connections go on to their end. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener.close();
    for (const connection of [...this.#held]) connection.close(false);
  }

  /** Ends what is still open. */
  closeConnections(): void {
    for (const connection of [...this.#connections]) connection.close(false);
  }

  hold(connection: Connection): boolean {
    if (this.#closed || this.#held.size >= this.#options.limits.maxHeld) return false;
    this.#held.add(connection);
    return true;
  }

  unhold(connection: Connection): void {
    this.#held.delete(connection);
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
    this.counters.open--;
    if (this.#connections.size > 0) return;
    this.#sweep?.cancel();
    this.#sweep = undefined;
    this.#options.onEmpty();
  }

  #accept(client: Socket): Take | undefined {
    this.counters.connections++;
    if (this.#closed || this.#connections.size >= this.#options.limits.maxConnections) {
      this.counters.overLimit++;
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return undefined;
    }
    this.counters.open++;
    const connection = new Connection(this, client);
    this.#connections.add(connection);
    if (this.#sweep === undefined) this.#sweepLater();
    connection.start();
    return connection.fromClient;
  }

  #acceptFailed(error: Error): void {
    this.counters.acceptErrors++;
    const nowMs = this.clock.nowMs();
    if (nowMs - this.#acceptLoggedMs < ACCEPT_LOG_INTERVAL_MS) return;
    this.#acceptLoggedMs = nowMs;
    this.#options.log.error('connections cannot be accepted; raise the limit of open files if it is EMFILE', {
      port: this.#route.publishedPort,
      error,
    });
  }

  #sweepLater(): void {
    const idleMs = this.#idleMs();
    // A quarter of the timeout: a connection goes at most that much late.
    const waitMs = Math.min(SWEEP_INTERVAL_MS, idleMs / 4);
    this.#sweep = this.clock.after(
      waitMs,
      () => {
        const nowMs = this.clock.nowMs();
        for (const connection of this.#connections) {
          if (!connection.sweep(nowMs, this.#idleMs())) continue;
          this.counters.idleClosed++;
          connection.close(true);
        }
        this.#sweep = undefined;
        if (this.#connections.size > 0) this.#sweepLater();
      },
      true,
    );
  }

  #idleMs(): number {
    const idleMs = this.#route.settings?.idleTimeoutMs ?? 0;
    return idleMs > 0 ? idleMs : IDLE_TIMEOUT_MS;
  }
}
