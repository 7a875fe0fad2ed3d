// One request and its answer: finds it a replica, repeats it before the client notices where that is safe, and streams both ways.
// Upholds: a request is given to another replica only while nothing of it was sent, or where it may be repeated and nothing of an answer arrived;
// memory is bounded by the two sockets' own buffers; a client that leaves takes its request at the replica with it.
import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type Timer } from '../../lib/clock.ts';
import { type Replica } from '../balance/balancer.ts';
import { isReplicasFault } from '../balance/ejection.ts';
import { Search, type Seeker } from '../balance/search.ts';
import { endToEnd, pairsOf } from './headers.ts';
import { CLIENT_QUIET_MS, LINGER_MS, MAX_HEAD_BYTES, MAX_REPEATS, MAX_STALE } from './limits.ts';
import { pageOf } from './page.ts';
import { requestHeaders, trailersOf } from './request-head.ts';
import { type Guest, type HttpRoute } from './route.ts';
import { cookieValueOf, setCookie } from './sticky.ts';
import { type Visit } from './visit.ts';

/** May be done twice as well as once (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class Exchange implements Guest, Seeker {
  readonly #route: HttpRoute;
  readonly #visit: Visit;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #headers: string[];
  readonly #repeatable: boolean;
  readonly #search: Search;
  #up: ClientRequest | undefined;
  #replica: Replica | undefined;
  #connected = false;
  #answer: IncomingMessage | undefined;
  #timer: Timer | undefined;
  #repeats = 0;
  #stale = 0;
  /** Whom it was given to last. */
  #taskId = '';
  #sweptBytes = -1;
  #quietSinceMs = 0;
  #over = false;

  constructor(route: HttpRoute, visit: Visit, res: ServerResponse) {
    this.#route = route;
    this.#visit = visit;
    this.#req = visit.req;
    this.#res = res;
    this.#headers = requestHeaders(visit, route.trusted);
    this.#repeatable = !visit.hasBody && IDEMPOTENT.has(visit.req.method ?? '');
    this.#search = new Search(route, this);
  }

  start(): void {
    const res = this.#res;
    res.on('close', this.#end);
    // An answer that waits behind others of its connection is not told of the connection's end.
    this.#req.socket.on('close', this.#end);
    // Its connection says the same; without a listener Node throws.
    res.on('error', () => undefined);
    this.#req.on('error', () => undefined);
    if (this.#route.enter(this)) this.#search.next(this.#route.stickyTask(this.#visit));
    else this.#fail(503, 'too many requests are open on this node');
  }

  found(replica: Replica): void {
    const route = this.#route;
    const pool = route.poolOf(replica);
    if (!this.#repeatable) pool.dropDoubtful();
    let up: ClientRequest;
    try {
      up = request({
        host: replica.host,
        port: replica.port,
        method: this.#req.method,
        path: this.#visit.target,
        headers: this.#headers,
        agent: pool,
        setHost: false,
        maxHeaderSize: MAX_HEAD_BYTES,
      });
    } catch {
      // Signs that Node's parser lets pass, and its writer does not.
      this.#fail(400, 'its head has signs that may not be sent on');
      return;
    }
    this.#up = up;
    this.#replica = replica;
    this.#taskId = replica.taskId;
    this.#connected = false;
    route.opened(replica);
    up.maxHeadersCount = 0;
    up.on('error', (error) => {
      if (this.#up === up) this.#failed(up, error);
    });
    up.on('socket', (socket) => {
      if (this.#up !== up) return;
      if (!socket.connecting) {
        this.#connected = true;
        if (this.#visit.hasBody) this.#passBody(up);
        return;
      }
      this.#after(route.connectTimeoutMs, () => {
        // A stall of this process is no silence of the replica: what has arrived meanwhile is looked at first.
        setImmediate(() => {
          if (this.#up === up && socket.connecting) this.#failed(up, new Error('no answer to the connect'));
        });
      });
      socket.once('connect', () => {
        if (this.#up !== up) return;
        this.#connected = true;
        if (this.#visit.hasBody) this.#passBody(up);
        else this.#awaitAnswer();
      });
    });
    up.on('response', (answer) => {
      if (this.#up === up) this.#pass(up, answer);
    });
    up.on('information', ({ statusCode, headers }) => {
      if (this.#up === up) this.#inform(statusCode, headers['link']);
    });
    if (!this.#visit.hasBody) up.end();
    this.#awaitAnswer();
  }

  notFound(full: boolean): void {
    const { counters, balancer, paused, closing } = this.#route;
    if (full && !closing) counters.overLimit++;
    else counters.noReplica++;
    if (closing) this.#fail(503, 'it is no longer published here');
    else if (full) this.#fail(503, 'too many requests wait for it on this node');
    else if (paused) this.#fail(503, 'it is paused');
    else if (balancer.size === 0) this.#fail(503, 'it has no replica that takes requests');
    else this.#fail(503, 'none of its replicas could be reached');
  }

  close(): void {
    this.#req.socket.destroy();
  }

  sweep(nowMs: number, idleMs: number): boolean {
    const { socket } = this.#req;
    const bytes = socket.bytesRead + socket.bytesWritten;
    if (bytes !== this.#sweptBytes) {
      this.#sweptBytes = bytes;
      this.#quietSinceMs = nowMs;
      return false;
    }
    const owes = this.#visit.hasBody && this.#connected && !this.#req.complete && !this.#req.isPaused();
    const limitMs = owes || this.#res.writableNeedDrain ? Math.min(idleMs, CLIENT_QUIET_MS) : idleMs;
    if (nowMs - this.#quietSinceMs < limitMs) return false;
    if (owes && !this.#res.headersSent) this.#fail(408, 'the rest of the request did not come');
    else this.close();
    return true;
  }

  #passBody(up: ClientRequest): void {
    const req = this.#req;
    this.#timer?.cancel();
    // A replica may have something to say to the head alone.
    setImmediate(() => {
      if (this.#up === up) up.flushHeaders();
    });
    req.on('data', (piece: Buffer) => {
      if (this.#up === up && !up.write(piece)) req.pause();
    });
    up.on('drain', () => {
      req.resume();
    });
    req.on('end', () => {
      if (this.#up !== up) return;
      if (req.rawTrailers.length > 0) up.addTrailers(pairsOf(trailersOf(req.rawTrailers)));
      up.end();
      if (this.#answer === undefined) this.#awaitAnswer();
    });
  }

  #awaitAnswer(): void {
    const { responseTimeoutMs } = this.#route;
    this.#timer?.cancel();
    if (responseTimeoutMs === 0) return;
    this.#after(responseTimeoutMs, () => {
      this.#route.counters.replicaFailures++;
      this.#letGo();
      this.#fail(504, `its replica did not answer within ${String(responseTimeoutMs / 1000)} s`);
    });
  }

  #after(delayMs: number, call: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#route.clock.after(delayMs, call);
  }

  /** An answer ahead of the answer. HTTP/1.0 knows none. */
  #inform(status: number, link: string | string[] | undefined): void {
    if (this.#res.headersSent || this.#req.httpVersionMinor === 0) return;
    if (status === 100) this.#res.writeContinue();
    else if (status === 102) this.#res.writeProcessing();
    else if (status === 103 && link !== undefined) this.#res.writeEarlyHints({ link });
  }

  #failed(up: ClientRequest, error: Error): void {
    const { balancer, counters } = this.#route;
    const replica = this.#replica;
    const connected = this.#connected;
    const stale = connected && up.reusedSocket;
    if (this.#answer !== undefined) {
      // After the head of its answer there is nothing to repair.
      this.#breakOff();
      return;
    }
    this.#letGo();
    if (replica === undefined) return;
    if (stale && this.#repeatable && this.#stale < MAX_STALE) {
      // It had closed an idle connection: so it may have the others.
      this.#stale++;
      this.#route.poolOf(replica).dropIdle();
      counters.retries++;
      this.#search.next(replica.taskId);
      return;
    }
    counters.replicaFailures++;
    if (isReplicasFault(error)) balancer.failed(replica);
    if (connected && (!this.#repeatable || this.#repeats++ >= MAX_REPEATS)) {
      this.#fail(502, isParseError(error) ? 'its replica answered with what is not HTTP' : 'its replica broke off before it answered');
      return;
    }
    counters.retries++;
    this.#search.passOver(replica);
  }

  #pass(up: ClientRequest, answer: IncomingMessage): void {
    this.#timer?.cancel();
    this.#answer = answer;
    const route = this.#route;
    const res = this.#res;
    const replica = this.#replica;
    if (replica !== undefined) route.balancer.succeeded(replica);
    answer.on('error', () => undefined);
    const old = this.#req.httpVersionMinor === 0;
    const headers = endToEnd(answer.rawHeaders, old ? (name) => name === 'trailer' : undefined);
    this.#stick(headers);
    if (route.sendsClientsAway) headers.push('Connection', 'close');
    try {
      res.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', headers);
    } catch {
      this.#answer = undefined;
      this.#letGo();
      this.#fail(502, 'its replica answered with a head that may not be sent on');
      return;
    }
    let moved = false;
    answer.on('data', (piece: Buffer) => {
      moved = true;
      if (!res.write(piece)) answer.pause();
    });
    res.on('drain', () => {
      answer.resume();
    });
    answer.on('end', () => {
      moved = true;
      if (answer.rawTrailers.length > 0) res.addTrailers(pairsOf(trailersOf(answer.rawTrailers)));
      res.end();
    });
    answer.on('close', () => {
      if (!answer.complete && this.#up === up) this.#breakOff();
    });
    // With what came in one piece with it, if anything did; a body that comes later does not hold it up.
    process.nextTick(() => {
      if (!moved && !res.destroyed) res.flushHeaders();
    });
  }

  #stick(headers: string[]): void {
    const cookie = this.#route.settings?.stickyCookie ?? '';
    if (cookie === '' || this.#route.stickyTask(this.#visit) === this.#taskId) return;
    headers.push('Set-Cookie', setCookie(cookie, cookieValueOf(this.#taskId), this.#visit.proto === 'https'));
  }

  /** The replica broke off in the middle: the client gets what came, and an end that it can tell from a good one. */
  #breakOff(): void {
    this.#route.counters.replicaFailures++;
    this.#letGo();
    const { socket } = this.#req;
    if (this.#req.httpVersionMinor === 0) socket.resetAndDestroy();
    else socket.destroySoon();
  }

  #fail(status: number, why: string): void {
    const res = this.#res;
    if (res.headersSent || res.destroyed) {
      this.close();
      return;
    }
    this.#timer?.cancel();
    const page = pageOf({ status, service: this.#route.service, why }, this.#req.headers.accept);
    res.writeHead(status, [...page.headers, ...(this.#route.sendsClientsAway ? ['Connection', 'close'] : [])]);
    res.end(page.body);
  }

  /** Done with the replica, and counted as gone from it. */
  #letGo(): void {
    const up = this.#up;
    const replica = this.#replica;
    this.#up = undefined;
    this.#replica = undefined;
    this.#timer?.cancel();
    if (up !== undefined && !(this.#answer?.complete === true && up.writableFinished)) up.destroy();
    if (replica !== undefined) this.#route.closed(replica);
  }

  readonly #end = (): void => {
    if (this.#over) return;
    this.#over = true;
    this.#req.socket.removeListener('close', this.#end);
    const res = this.#res;
    this.#search.cancel();
    this.#letGo();
    if (res.writableFinished && !this.#req.complete) this.#linger();
    this.#route.leave(this, this.#visit, res.headersSent ? res.statusCode : 0, this.#taskId, false);
  };

  /** The answer came before the end of the request: its rest is read for a moment, for a close now would reset the connection under the answer. */
  #linger(): void {
    const req = this.#req;
    const { socket } = req;
    req.resume();
    const timer = this.#route.clock.after(
      LINGER_MS,
      () => {
        if (!req.complete) socket.destroy();
      },
      true,
    );
    socket.once('close', () => {
      timer.cancel();
    });
  }
}

function isParseError(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith('HPE_') === true;
}
