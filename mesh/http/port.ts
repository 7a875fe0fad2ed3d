// One published HTTP port on this node, shared by all services that have a rule on it: its listeners, its clients, and who gets which request.
import { createServer, type IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import { type Socket } from 'node:net';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { keyOfRoute, portKeyOf, type PortRoute } from '../../proto/index.ts';
import { type Limits, whereSet } from '../limits.ts';
import { Listener } from '../listener.ts';
import { type PortHost, type PortLook, type ServedPort } from '../served-port.ts';
import { type Certificates } from '../tls/certificates.ts';
import { type HttpPortCounters, type RouteCounters } from './counters.ts';
import { Exchange } from './exchange.ts';
import {
  CLIENT_KEEP_ALIVE_MS,
  HEAD_SWEEP_MS,
  MAX_CLIENT_CONNECTIONS,
  MAX_HEAD_BYTES,
  REQUEST_TIMEOUT_MS,
  SWEEP_INTERVAL_MS,
} from './limits.ts';
import { pageOf, type Problem, rawPage } from './page.ts';
import { asksForNothingKnown, headWithoutUpgrade } from './plain-again.ts';
import { HttpRoute } from './route.ts';
import { type Rules, rulesOf } from './rules.ts';
import { Upgrade } from './upgrade.ts';
import { type Visit, visitOf } from './visit.ts';

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

export class HttpPort implements ServedPort {
  readonly #options: HttpPortOptions;
  readonly #around: PortHost;
  readonly #routes = new Map<string, HttpRoute>();
  /** Gone from the table, with requests that still go on. */
  readonly #leaving = new Set<HttpRoute>();
  readonly #servers = new Set<Server>();
  #rules: Rules<HttpRoute> = rulesOf([]);
  #listeners: readonly Listener[] = [];
  #tls = false;
  #tlsHosts: readonly string[] = [];
  #requestTimeoutMs = REQUEST_TIMEOUT_MS;
  #sweep: Timer | undefined;
  #closed = false;
  #handedOver = false;
  #clients = 0;
  #acceptLoggedMs = -Infinity;
  readonly #unwatch: () => void;

  constructor(options: HttpPortOptions, around: PortHost, routes: readonly PortRoute[], nodeId: string) {
    this.#options = options;
    this.#around = around;
    this.#unwatch = options.certificates.watch(() => {
      if (!this.#tls) return;
      const { unnamed } = options.certificates;
      for (const server of this.#servers) {
        if (server instanceof TlsServer && unnamed !== undefined) server.setSecureContext(unnamed);
      }
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
    return this.#clients;
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
    for (const route of this.#everyRoute()) {
      route.close();
      route.closeGuests();
    }
    for (const server of [...this.#servers]) {
      server.close();
      server.closeAllConnections();
      this.#servers.delete(server);
    }
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
    for (const server of this.#servers) server.headersTimeout = this.#requestTimeoutMs;
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
          this.#sweep?.cancel();
          this.#sweep = undefined;
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

  #newServer(): Server {
    const { certificates, counters } = this.#options;
    const options: ServerOptions = {
      maxHeaderSize: MAX_HEAD_BYTES,
      insecureHTTPParser: false,
      headersTimeout: this.#requestTimeoutMs,
      // Bodies may take as long as they move.
      requestTimeout: 0,
      keepAliveTimeout: CLIENT_KEEP_ALIVE_MS,
      connectionsCheckingInterval: HEAD_SWEEP_MS,
      noDelay: true,
    };
    const server: Server = this.#tls
      ? createTlsServer({ ...options, ...certificates.serverOptions(), handshakeTimeout: this.#requestTimeoutMs })
      : createServer(options);
    const proto = this.#tls ? 'https' : 'http';
    server.maxHeadersCount = 0;
    server.maxConnections = MAX_CLIENT_CONNECTIONS;
    server.on('connection', (socket: Socket) => {
      counters.connections++;
      this.#clients++;
      socket.setMaxListeners(0);
      socket.once('close', this.#clientGone);
    });
    server.on('drop', () => counters.overLimit++);
    server.on('tlsClientError', (_error: Error, socket: Socket) => {
      counters.badHandshakes++;
      socket.destroy();
    });
    server.on('request', (req: IncomingMessage, res: ServerResponse) => {
      this.#serve(req, res, proto);
    });
    server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
      this.#serve(req, res, proto);
    });
    server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
      this.#upgrade(server, req, socket, head, proto);
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      this.#malformed(error, socket);
    });
    server.on('close', () => {
      this.#servers.delete(server);
    });
    this.#servers.add(server);
    return server;
  }

  readonly #clientGone = (): void => {
    this.#clients--;
    if (this.#clients === 0) this.#around.onEmpty();
  };

  #serve(req: IncomingMessage, res: ServerResponse, proto: 'http' | 'https'): void {
    const visit = visitOf(req, proto, this.#options.clock.nowMs());
    if ('why' in visit) {
      this.#options.counters.badRequests++;
      answer(req, res, { status: visit.status, service: '', why: `the request is refused: ${visit.why}` }, true);
      return;
    }
    const route = this.#find(visit);
    if (route === undefined) {
      answer(req, res, this.#unknown(visit), this.#closed || this.#handedOver);
      return;
    }
    if (this.#sweep === undefined) this.#sweepLater();
    new Exchange(route, visit, res).start();
  }

  #upgrade(server: Server, req: IncomingMessage, socket: Socket, head: Buffer, proto: 'http' | 'https'): void {
    socket.on('error', () => undefined);
    const visit = visitOf(req, proto, this.#options.clock.nowMs());
    if ('why' in visit) {
      this.#options.counters.badRequests++;
      socket.end(rawPage(pageOf({ status: visit.status, service: '', why: `the request is refused: ${visit.why}` }, req.headers.accept)));
      return;
    }
    if (asksForNothingKnown(visit)) {
      socket.unshift(Buffer.concat([headWithoutUpgrade(req), head]));
      this.#options.counters.connections--;
      this.#clients--;
      socket.off('close', this.#clientGone);
      server.emit(proto === 'https' ? 'secureConnection' : 'connection', socket);
      return;
    }
    const route = this.#find(visit);
    if (route === undefined) {
      socket.end(rawPage(pageOf(this.#unknown(visit), req.headers.accept)));
      return;
    }
    if (this.#sweep === undefined) this.#sweepLater();
    new Upgrade(route, visit, socket, head).start();
  }

  #find(visit: Visit): HttpRoute | undefined {
    return this.#rules.find(visit.host, visit.path === '*' ? '/' : visit.path);
  }

  #unknown({ authority, path }: Visit): Problem {
    this.#options.counters.unknown++;
    const host = authority === '' ? 'a request without a host' : `host ${authority.slice(0, MAX_SHOWN)}`;
    const why = `no service is published on port ${String(this.#around.publishedPort)} for ${host} and path ${path.slice(0, MAX_SHOWN)}`;
    return { status: 404, service: '', why };
  }

  /** What Node's parser refuses, or waits for in vain. */
  #malformed(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    this.#options.counters.badRequests++;
    // An answer that is under way would be spoiled by another one in it.
    const busy = (socket as { _httpMessage?: unknown })._httpMessage;
    if (busy instanceof ServerResponse) {
      socket.destroySoon();
      return;
    }
    socket.write(rawPage(pageOf(problemOf(error.code), undefined)));
    socket.destroySoon();
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

  #closeIdle(): void {
    for (const server of this.#servers) server.closeIdleConnections();
  }

  *#everyRoute(): Generator<HttpRoute> {
    yield* this.#routes.values();
    yield* this.#leaving;
  }
}

function answer(req: IncomingMessage, res: ServerResponse, problem: Problem, last: boolean): void {
  const page = pageOf(problem, req.headers.accept);
  res.writeHead(page.status, [...page.headers, ...(last ? ['Connection', 'close'] : [])]);
  res.end(page.body);
}

function problemOf(code: string | undefined): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, service: '', why: `the head of the request is longer than ${String(MAX_HEAD_BYTES)} bytes` };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, service: '', why: 'the request did not come in time' };
    default:
      return { status: 400, service: '', why: 'the request is not valid HTTP' };
  }
}
