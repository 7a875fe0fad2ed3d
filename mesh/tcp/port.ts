// One published TCP port on this node: its listeners, its replicas, its clients and the limits on them.
import { type Socket } from 'node:net';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { type PortRoute, ProxyProtocol } from '../../proto/index.ts';
import { Balancer } from '../balance/balancer.ts';
import { type Search } from '../balance/search.ts';
import { type Drains } from '../drains.ts';
import { CONNECT_TIMEOUT_MS, type Limits, limitsOf, whereSet } from '../limits.ts';
import { Listener } from '../listener.ts';
import { type Gate, openGate } from '../proxy-protocol/gate.ts';
import { type PortHost, type PortLook, type ServedPort } from '../served-port.ts';
import { type TrustedSources, trustedSources } from '../trusted-sources.ts';
import { Connection, type ConnectionHost, type Introduction } from './connection.ts';
import { type PortCounters } from './counters.ts';
import { IDLE_TIMEOUT_MS, PROXY_HEADER_TIMEOUT_MS, SWEEP_INTERVAL_MS } from './limits.ts';
import { acceptClients, type Take } from './sockets.ts';

export interface TcpPortOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Where the table says nothing. */
  readonly limits: Limits;
  readonly counters: PortCounters;
}

/** Refusals to accept come in swarms: one line says enough for so long. */
const ACCEPT_LOG_INTERVAL_MS = 10_000;

export class TcpPort implements ServedPort, ConnectionHost {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly balancer: Balancer;
  readonly drains: Drains;
  readonly counters: PortCounters;
  readonly #options: TcpPortOptions;
  readonly #around: PortHost;
  readonly #listeners: readonly Listener[];
  readonly #connections = new Set<Connection>();
  readonly #held = new Set<Search>();
  /** Trusted sources' connections whose PROXY header is not there yet. */
  readonly #gates = new Set<Gate>();
  #route: PortRoute;
  #limits: Limits;
  #trusted: TrustedSources | undefined;
  #sweep: Timer | undefined;
  #closed = false;
  #acceptLoggedMs = -Infinity;

  constructor(options: TcpPortOptions, around: PortHost, route: PortRoute, nodeId: string) {
    this.#options = options;
    this.#around = around;
    this.#route = route;
    this.#limits = limitsOf(route.settings, options.limits);
    this.#trusted = trustedSources(route.settings?.trustedSources ?? []);
    this.clock = options.clock;
    this.rng = options.rng;
    this.drains = around.drains;
    this.counters = options.counters;
    this.balancer = new Balancer(options);
    this.balancer.update(route.targets, nodeId, route.canaryPermille);
    this.#listeners = around.addresses.map(
      (address) =>
        new Listener({
          clock: options.clock,
          rng: options.rng,
          address,
          port: around.listenPort,
          sockets: around.sockets,
          newServer: () => acceptClients((client) => this.#accept(client)),
          onChange: around.onProblem,
          onAcceptError: (error) => {
            this.#acceptFailed(error);
          },
        }),
    );
  }

  get connectTimeoutMs(): number {
    return whereSet(this.#route.settings?.connectTimeoutMs) ?? CONNECT_TIMEOUT_MS;
  }

  get holdMs(): number {
    return this.#limits.holdMs;
  }

  get paused(): boolean {
    return this.#route.paused;
  }

  get proxyProtocol(): ProxyProtocol {
    return this.#route.settings?.proxyProtocol ?? ProxyProtocol.PROXY_PROTOCOL_NONE;
  }

  get size(): number {
    return this.#connections.size + this.#gates.size;
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

  update([route]: readonly PortRoute[], nodeId: string): void {
    if (route === undefined) return;
    this.#route = route;
    this.#limits = limitsOf(route.settings, this.#options.limits);
    this.#trusted = trustedSources(route.settings?.trustedSources ?? []);
    this.balancer.update(route.targets, nodeId, route.canaryPermille);
    if (route.paused || this.balancer.size === 0) return;
    for (const search of [...this.#held]) search.wake();
  }

  /** No new clients, and those that still wait for a replica are reset; open connections go on to their end. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener.close();
    for (const search of [...this.#held]) search.giveUp();
    for (const gate of [...this.#gates]) gate.close();
  }

  /** Ends what is still open. */
  closeConnections(): void {
    for (const connection of [...this.#connections]) connection.close(false);
  }

  look(): PortLook {
    const { connections, replicaFailures, noReplica, overLimit, badHeaders, acceptErrors } = this.counters;
    const route = {
      route: this.#route,
      replicas: this.balancer.replicas(),
      open: this.size,
      waiting: this.#held.size,
      total: connections,
      replicaFailures,
      refused: noReplica + overLimit,
    };
    return { rejected: badHeaders + acceptErrors, routes: [route] };
  }

  handOver(): void {
    for (const listener of this.#listeners) listener.close();
  }

  get clients(): number {
    return this.size;
  }

  hold(search: Search): boolean {
    if (this.#closed || this.#held.size >= this.#limits.maxHeld) return false;
    this.#held.add(search);
    return true;
  }

  unhold(search: Search): void {
    this.#held.delete(search);
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#ended();
  }

  #ended(): void {
    this.counters.open--;
    if (this.#connections.size === 0) {
      this.#sweep?.cancel();
      this.#sweep = undefined;
    }
    if (this.size === 0) this.#around.onEmpty();
  }

  #accept(client: Socket): Take | undefined {
    this.counters.connections++;
    if (this.#closed || this.size >= this.#limits.maxConnections) {
      this.counters.overLimit++;
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return undefined;
    }
    this.counters.open++;
    if (this.#trusted?.has(client.remoteAddress) === true) return this.#introduced(client);
    return this.#connect(client);
  }

  #connect(client: Socket, introduction?: Introduction): Take {
    const connection = new Connection(this, client, introduction);
    this.#connections.add(connection);
    if (this.#sweep === undefined) this.#sweepLater();
    connection.start();
    return connection.fromClient;
  }

  /** A trusted source must say who the client is; from others a header is the client's own bytes, and never looked at. */
  #introduced(client: Socket): Take {
    let take: Take | undefined;
    const gate = openGate(client, {
      clock: this.clock,
      timeoutMs: PROXY_HEADER_TIMEOUT_MS,
      onHeader: (ends, rest) => {
        this.#gates.delete(gate);
        take = this.#connect(client, { ends, rest });
      },
      onGone: (bad) => {
        if (bad) this.counters.badHeaders++;
        this.#gates.delete(gate);
        this.#ended();
      },
    });
    this.#gates.add(gate);
    return (piece) => (take ?? gate.take)(piece);
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
    return whereSet(this.#route.settings?.idleTimeoutMs) ?? IDLE_TIMEOUT_MS;
  }
}
