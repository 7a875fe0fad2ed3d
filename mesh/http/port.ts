// One published HTTP port on this node, shared by all services that have a rule on it: its listeners, its clients, and who gets which request.
import { type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { keyOfRoute, portKeyOf, type PortRoute } from '../../proto/index.ts';
import { type Limits, whereSet } from '../limits.ts';
import { Listener } from '../listener.ts';
import { type PortHost, type PortLook, type ServedPort } from '../served-port.ts';
import { acceptClients, type Take } from '../tcp/sockets.ts';
import { type Certificates } from '../tls/certificates.ts';
import { pageAnswer } from './answer-head.ts';
import { type Answerer } from './answerer.ts';
import { Client, type ClientHost } from './client.ts';
import { type HttpPortCounters, type RouteCounters } from './counters.ts';
import { Exchange } from './exchange.ts';
import { valueOf } from './head.ts';
import { HEAD_SWEEP_MS, MAX_CLIENT_CONNECTIONS, REQUEST_TIMEOUT_MS, SWEEP_INTERVAL_MS } from './limits.ts';
import { pageOf, type Problem } from './page.ts';
import { Reply } from './reply.ts';
import { HttpRoute } from './route.ts';
import { type Rules, rulesOf } from './rules.ts';
import { Upgrade } from './upgrade.ts';
import { type Visit } from './visit.ts';

export interface HttpPortOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Where the table says nothing. */
  readonly limits: Limits;
  readonly certificates: Certificates;
  readonly counters: HttpPortCounters;
  readonly routeCounters: (key: string, route: PortRoute) => RouteCounters;
  readonly forgetRoute: (key: string) => void;
}

/** What a page shows of a client's own words. */
const MAX_SHOWN = 200;
const ACCEPT_LOG_INTERVAL_MS = 10_000;

export class HttpPort implements ServedPort, ClientHost {
  readonly clock: Clock;
  readonly #options: HttpPortOptions;
  readonly #around: PortHost;
  readonly #routes = new Map<string, HttpRoute>();
  /** Gone from the table, with requests that still go on. */
  readonly #leaving = new Set<HttpRoute>();
  readonly #clients = new Set<Client>();
  /** Those that listen with TLS. */
  readonly #tlsServers = new Set<TlsServer>();
  #rules: Rules<HttpRoute> = rulesOf([]);
  #listeners: readonly Listener[] = [];
  #tls = false;
  #tlsHosts: readonly string[] = [];
  #requestTimeoutMs = REQUEST_TIMEOUT_MS;
  #sweep: Timer | undefined;
  #clientSweep: Timer | undefined;
  #closed = false;
  #handedOver = false;
  /** Open connections of clients, those that shake hands included. */
  #open = 0;
  #acceptLoggedMs = -Infinity;
  readonly #unwatch: () => void;

  constructor(options: HttpPortOptions, around: PortHost, routes: readonly PortRoute[], nodeId: string) {
    this.#options = options;
    this.clock = options.clock;
    this.#around = around;
    this.#unwatch = options.certificates.watch(() => {
      if (!this.#tls) return;
      const { unnamed } = options.certificates;
      if (unnamed !== undefined) for (const server of this.#tlsServers) server.setSecureContext(unnamed);
      around.onProblem();
    });
    this.#take(routes, nodeId);
  }

  get size(): number {
    let size = 0;
    for (const route of this.#everyRoute()) size += route.size;
    return size;
  }

  get problem(): string | undefined {
    const problems = [
      ...this.#listeners.map((listener) => listener.problem),
      ...(this.#tls ? this.#tlsHosts.map((host) => this.#options.certificates.problem(host)) : []),
    ].filter((problem) => problem !== undefined);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  get clients(): number {
    return this.#open;
  }

  async open(): Promise<void> {
    if (this.#handedOver) return;
    if (this.#tls) this.#options.certificates.load();
    this.#listeners = this.#around.addresses.map(
      (address) =>
        new Listener({
          clock: this.#options.clock,
          rng: this.#options.rng,
          address,
          port: this.#around.listenPort,
          sockets: this.#around.sockets,
          newServer: () => this.#newServer(),
          onChange: this.#around.onProblem,
          onAcceptError: (error) => {
            this.#acceptFailed(error);
          },
        }),
    );
    await Promise.all(this.#listeners.map((listener) => listener.open()));
    if (this.problem !== undefined) this.#around.onProblem();
  }

  update(routes: readonly PortRoute[], nodeId: string): void {
    const before = this.#tls;
    const hosts = this.#tlsHosts.join();
    this.#take(routes, nodeId);
    if (this.#sweep !== undefined) {
      this.#sweep.cancel();
      this.#sweepLater();
    }
    if (before !== this.#tls && !this.#handedOver) {
      for (const listener of this.#listeners) listener.close();
      this.#closeIdle();
      void this.open();
    } else if (this.#tls && hosts !== this.#tlsHosts.join()) {
      this.#options.certificates.load();
      this.#around.onProblem();
    }
  }

  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener.close();
    for (const route of this.#routes.values()) route.close();
    if (this.size === 0) this.#closeIdle();
  }

  /** A client with a kept connection is told with its next answer to come back on another. */
  handOver(): void {
    this.#handedOver = true;
    for (const listener of this.#listeners) listener.close();
    for (const route of this.#everyRoute()) route.handOver();
  }

  closeConnections(): void {
    this.#unwatch();
    this.#sweep?.cancel();
    this.#clientSweep?.cancel();
    for (const route of this.#everyRoute()) {
      route.close();
      route.closeGuests();
    }
    for (const client of this.#clients) client.destroy();
    for (const key of this.#routes.keys()) this.#options.forgetRoute(key);
  }

  look(): PortLook {
    const { overLimit, badRequests, badHandshakes, unknown, acceptErrors } = this.#options.counters;
    return {
      rejected: overLimit + badRequests + badHandshakes + unknown + acceptErrors,
      routes: [...this.#routes.values()].map((route) => route.look()),
    };
  }

  #take(routes: readonly PortRoute[], nodeId: string): void {
    const keys = new Set(routes.map((route) => portKeyOf(keyOfRoute(route))));
    for (const [key, route] of this.#routes) {
      if (keys.has(key)) continue;
      this.#routes.delete(key);
      route.close();
      if (route.size > 0) this.#leaving.add(route);
      this.#options.forgetRoute(key);
    }
    for (const route of routes) {
      const key = portKeyOf(keyOfRoute(route));
      const served = this.#routes.get(key);
      if (served === undefined) this.#routes.set(key, this.#newRoute(key, route, nodeId));
      else served.update(route, nodeId);
    }
    this.#rules = rulesOf(
      routes.flatMap((route) => {
        const served = this.#routes.get(portKeyOf(keyOfRoute(route)));
        const { host, path } = keyOfRoute(route);
        return served === undefined ? [] : [[{ host, path }, served] as const];
      }),
    );
    this.#tls = routes.some((route) => route.settings?.tls === true);
    this.#tlsHosts = [...new Set(routes.map((route) => keyOfRoute(route).host))].sort();
    // Before the head is there nobody knows whose request it is: the most patient service decides.
    this.#requestTimeoutMs = Math.max(...routes.map((route) => whereSet(route.settings?.requestTimeoutMs) ?? REQUEST_TIMEOUT_MS));
  }

  #newRoute(key: string, route: PortRoute, nodeId: string): HttpRoute {
    const { clock, rng, log, limits, routeCounters } = this.#options;
    const counters = routeCounters(key, route);
    const served: HttpRoute = new HttpRoute(
      {
        clock,
        rng,
        log,
        limits,
        drains: this.#around.drains,
        counters,
        onEmpty: () => {
          this.#leaving.delete(served);
          if (this.size > 0) return;
          if (this.#closed) this.#closeIdle();
          this.#around.onEmpty();
        },
      },
      route,
      nodeId,
    );
    if (this.#handedOver) served.handOver();
    return served;
  }

  answererOf(visit: Visit, client: Client): Answerer {
    const route = this.#find(visit);
    if (route !== undefined) return new Exchange(route, visit, client);
    const { head, keepAlive } = visit;
    const options = {
      accept: valueOf(head, 'accept'),
      keepAlive: keepAlive && !this.#closed && !this.#handedOver,
      bodiless: head.method === 'HEAD',
    };
    return new Reply(client, this.#unknown(visit), options);
  }

  upgrade(visit: Visit, socket: Socket, head: Buffer): void {
    const route = this.#find(visit);
    if (route !== undefined) {
      new Upgrade(route, visit, socket, head).start();
      return;
    }
    const page = pageOf(this.#unknown(visit), valueOf(visit.head, 'accept'));
    socket.on('error', () => undefined);
    socket.end(pageAnswer(page, false, false, this.clock.wallMs()));
  }

  countRefused(): void {
    this.#options.counters.badRequests++;
  }

  left(client: Client): void {
    this.#clients.delete(client);
    if (client.ends.proto === 'http') this.#gone();
  }

  #newServer(): Server {
    if (!this.#tls) return acceptClients((socket) => this.#accept(socket));
    const { certificates, counters } = this.#options;
    const server = createTlsServer(
      { ...certificates.serverOptions(), handshakeTimeout: this.#requestTimeoutMs, noDelay: true },
      (socket) => {
        const take = this.#newClient(socket, 'https');
        socket.on('data', (piece: Buffer) => {
          if (!take(piece)) socket.pause();
        });
      },
    );
    // Those that shake hands are among them.
    server.maxConnections = MAX_CLIENT_CONNECTIONS;
    server.on('drop', () => counters.overLimit++);
    server.on('connection', (socket: Socket) => {
      counters.connections++;
      this.#open++;
      socket.once('close', this.#gone);
    });
    server.on('tlsClientError', (_error, socket) => {
      counters.badHandshakes++;
      socket.destroy();
    });
    server.on('close', () => {
      this.#tlsServers.delete(server);
    });
    this.#tlsServers.add(server);
    return server;
  }

  #accept(socket: Socket): Take | undefined {
    const { counters } = this.#options;
    if (this.#clients.size < MAX_CLIENT_CONNECTIONS) {
      counters.connections++;
      this.#open++;
      return this.#newClient(socket, 'http');
    }
    counters.overLimit++;
    socket.on('error', () => undefined);
    socket.destroy();
    return undefined;
  }

  readonly #gone = (): void => {
    this.#open--;
    if (this.#open === 0) this.#around.onEmpty();
  };

  #newClient(socket: Socket, proto: 'http' | 'https'): Take {
    const client = new Client(this, socket, proto);
    this.#clients.add(client);
    if (this.#clientSweep === undefined) this.#sweepClientsLater();
    socket.resume();
    return client.take;
  }

  #find(visit: Visit): HttpRoute | undefined {
    const route = this.#rules.find(visit.host, visit.path === '*' ? '/' : visit.path);
    if (route !== undefined && this.#sweep === undefined) this.#sweepLater();
    return route;
  }

  #unknown({ authority, path }: Visit): Problem {
    this.#options.counters.unknown++;
    const host = authority === '' ? 'a request without a host' : `host ${authority.slice(0, MAX_SHOWN)}`;
    const why = `no service is published on port ${String(this.#around.publishedPort)} for ${host} and path ${path.slice(0, MAX_SHOWN)}`;
    return { status: 404, service: '', why };
  }

  #acceptFailed(error: Error): void {
    this.#options.counters.acceptErrors++;
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#acceptLoggedMs < ACCEPT_LOG_INTERVAL_MS) return;
    this.#acceptLoggedMs = nowMs;
    const message = 'connections cannot be accepted; raise the limit of open files if it is EMFILE';
    this.#options.log.error(message, { port: this.#around.publishedPort, error });
  }

  #sweepLater(): void {
    const idleMs = Math.min(...[...this.#everyRoute()].map((route) => route.idleMs));
    this.#sweep = this.#options.clock.after(
      // A quarter of the timeout: a request goes at most that much late.
      Math.min(SWEEP_INTERVAL_MS, idleMs / 4),
      () => {
        const nowMs = this.#options.clock.nowMs();
        for (const route of this.#everyRoute()) route.sweep(nowMs);
        this.#sweep = undefined;
        if (this.size > 0) this.#sweepLater();
      },
      true,
    );
  }

  #sweepClientsLater(): void {
    this.#clientSweep = this.clock.after(
      HEAD_SWEEP_MS,
      () => {
        const nowMs = this.clock.nowMs();
        for (const client of this.#clients) client.sweep(nowMs, this.#requestTimeoutMs);
        this.#clientSweep = undefined;
        if (this.#clients.size > 0) this.#sweepClientsLater();
      },
      true,
    );
  }

  #closeIdle(): void {
    for (const client of this.#clients) {
      if (client.idle) client.destroy();
    }
  }

  *#everyRoute(): Generator<HttpRoute> {
    yield* this.#routes.values();
    yield* this.#leaving;
  }
}
