// The http path alone, on real sockets: routes in, requests through; and replicas that answer as they are told.
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type RequestListener,
  type RequestOptions,
} from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { systemClock } from '../../lib/clock.ts';
import { type Logger, silentLogger } from '../../lib/log.ts';
import { seededRng } from '../../lib/rng.ts';
import { type HttpPortCounters, type RouteCounters } from '../../mesh/http/counters.ts';
import { HttpProtocol } from '../../mesh/http/protocol.ts';
import { DEFAULT_LIMITS, type Limits } from '../../mesh/limits.ts';
import { Ports } from '../../mesh/ports.ts';
import { fromMessage, type Table } from '../../mesh/table/table.ts';
import { Certificates } from '../../mesh/tls/certificates.ts';
import { HttpRule, IngressSettings, PortProtocol, type PortRoute, type RouteTarget } from '../../proto/index.ts';
import { routeOf, tableOf } from './routes.ts';
import { freePort, ownLoopback } from './sockets.ts';

export interface HttpMesh {
  readonly ports: Ports;
  readonly address: string;
  readonly port: number;
  /** One route on the port; its rule is any host and path unless `settings` say otherwise. */
  route(targets: readonly RouteTarget[], settings?: Partial<IngressSettings>, more?: Partial<PortRoute>): PortRoute;
  apply(...routes: readonly PortRoute[]): Promise<void>;
  ask(path?: string, options?: Ask): Promise<Answer>;
  /** Of the first route. */
  counters(): Readonly<RouteCounters>;
  portCounters(): Readonly<HttpPortCounters>;
  readonly idleCalls: readonly (readonly string[])[];
  stop(): Promise<void>;
}

export interface Ask extends RequestOptions {
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly trailers: IncomingMessage['trailers'];
  readonly body: string;
}

export interface HttpMeshOptions {
  readonly limits?: Partial<Limits>;
  readonly log?: Logger;
  readonly tlsDir?: string;
}

export async function startHttpMesh({ limits = {}, log = silentLogger, tlsDir }: HttpMeshOptions = {}): Promise<HttpMesh> {
  const address = ownLoopback();
  const port = await freePort(address);
  const idleCalls: (readonly string[])[] = [];
  let revision = 0;
  const certificates = new Certificates({ clock: systemClock, log, dir: tlsDir ?? join(tmpdir(), 'shoal-no-such-folder') });
  const http = new HttpProtocol({ clock: systemClock, rng: seededRng(5), log, limits: { ...DEFAULT_LIMITS, ...limits }, certificates });
  const ports: Ports = new Ports({
    clock: systemClock,
    nodeId: 'node-a',
    addresses: [address],
    portOffset: 0,
    protocols: new Map([[PortProtocol.HTTP, http]]),
    onProblems: () => undefined,
    onIdle: () => idleCalls.push(ports.idle()),
  });
  return {
    ports,
    address,
    port,
    route: (targets, settings = {}, more = {}) =>
      routeOf(port, targets, {
        protocol: PortProtocol.HTTP,
        settings: IngressSettings.create({ http: HttpRule.create({ path: '/' }), ...settings }),
        ...more,
      }),
    apply: (...routes) => ports.apply(fromMessage(tableOf(++revision, routes)) as Table),
    ask: (path = '/', options = {}) => ask({ host: address, port, path, ...options }),
    counters: () => {
      const [counters] = http.routeCounters.values();
      if (counters === undefined) throw new Error('no counters');
      return counters;
    },
    portCounters: () => {
      const counters = http.portCounters.get(port);
      if (counters === undefined) throw new Error('no counters');
      return counters;
    },
    idleCalls,
    stop: () => ports.stop(0),
  };
}

/** A whole answer; rejects where there is none, or it breaks off. */
export function ask({ body, ...options }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ agent: false, ...options }, (res) => {
      const pieces: Buffer[] = [];
      res.on('data', (piece: Buffer) => pieces.push(piece));
      res.on('error', reject);
      res.on('end', () => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, trailers: res.trailers, body: Buffer.concat(pieces).toString() });
      });
    });
    req.on('error', reject);
    req.end(body);
  });
}

export interface HttpReplica {
  readonly port: number;
  /** Requests so far. */
  readonly requests: readonly IncomingMessage[];
  readonly sockets: ReadonlySet<Socket>;
  stop(): Promise<void>;
}

/** On 127.0.0.1. Keeps idle connections for as long as `keepAliveMs`. */
export async function startHttpReplica(listener: RequestListener, keepAliveMs = 60_000): Promise<HttpReplica> {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: keepAliveMs }, (req, res) => {
    requests.push(req);
    listener(req, res);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** Answers with a text. */
export function saying(text: string, headers: OutgoingHttpHeaders = {}): RequestListener {
  return (req, res) => {
    req.resume();
    res.writeHead(200, headers);
    res.end(text);
  };
}
