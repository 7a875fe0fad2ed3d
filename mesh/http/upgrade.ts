// One request to change protocols (WebSocket and others), carried by http-proxy once it has a replica. Around it, what http-proxy leaves open: another replica
// when one fails, waiting, deadlines, the end of a replica's side when the client is gone, and a bound on what an answer that is no upgrade keeps in memory.
import { type ClientRequest, IncomingMessage } from 'node:http';
import { type Socket } from 'node:net';
import { ProxyServer } from 'http-proxy';
import { type Timer } from '../../lib/clock.ts';
import { type Replica } from '../balance/balancer.ts';
import { isReplicasFault } from '../balance/ejection.ts';
import { Search, type Seeker } from '../balance/search.ts';
import { pageAnswer } from './answer-head.ts';
import { valueOf } from './head.ts';
import { namedByConnection } from './headers.ts';
import { MAX_REPEATS } from './limits.ts';
import { pageOf } from './page.ts';
import { upgradeHeaders } from './request-head.ts';
import { type Guest, type HttpRoute } from './route.ts';
import { type Visit } from './visit.ts';

/** Of http-proxy's steps the one that carries; the others refuse every protocol but WebSocket. */
interface Steps {
  wsPasses: ((...args: never[]) => unknown)[];
}

export class Upgrade implements Guest, Seeker {
  readonly #route: HttpRoute;
  readonly #visit: Visit;
  readonly #client: Socket;
  /** As http-proxy takes requests. */
  readonly #req: IncomingMessage;
  readonly #search: Search;
  readonly #proxy: ProxyServer;
  /** What the client sent after its request. Handed over once. */
  #head: Buffer;
  #up: ClientRequest | undefined;
  #upstream: Socket | undefined;
  #replica: Replica | undefined;
  #connected = false;
  #status = 0;
  #timer: Timer | undefined;
  #repeats = 0;
  #taskId = '';
  #late = false;
  #over = false;
  #sweptBytes = -1;
  #quietSinceMs = 0;

  constructor(route: HttpRoute, visit: Visit, client: Socket, head: Buffer) {
    this.#route = route;
    this.#visit = visit;
    this.#client = client;
    this.#head = head;
    this.#req = new IncomingMessage(client);
    this.#search = new Search(route, this);
    this.#proxy = new ProxyServer({ toProxy: true, prependPath: false });
    const steps = this.#proxy as unknown as Steps;
    steps.wsPasses = steps.wsPasses.slice(-1);
    // Of the client's connection, whose close says the same; what goes wrong with the replica comes with the call.
    this.#proxy.on('error', () => undefined);
    this.#proxy.on('proxyReqWs', (up) => {
      this.#watch(up);
    });
    this.#proxy.on('open', (upstream) => {
      this.#open(upstream);
    });
  }

  start(): void {
    const client = this.#client;
    client.setTimeout(0);
    client.on('error', () => undefined);
    client.on('close', (hadError) => {
      this.#end(hadError);
    });
    const { head, target } = this.#visit;
    const headers = upgradeHeaders(this.#visit, this.#route.trusted);
    Object.assign(this.#req, { method: head.method, url: target, headers, httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 });
    // http-proxy ends the client after each failure: not before the last one is told.
    client.destroySoon = () => undefined;
    if (this.#route.enter(this)) this.#search.next(this.#route.stickyTask(this.#visit));
    else this.#fail(503, 'too many requests are open on this node');
  }

  found(replica: Replica): void {
    this.#replica = replica;
    this.#taskId = replica.taskId;
    this.#connected = false;
    this.#late = false;
    this.#route.opened(replica);
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    this.#proxy.ws(this.#req, this.#client, head, { target: { host: replica.host, port: replica.port } }, (error) => {
      if (this.#status === 0) this.#failed(error);
    });
  }

  notFound(full: boolean): void {
    this.#route.counters[full ? 'overLimit' : 'noReplica']++;
    this.#fail(503, full ? 'too many requests wait for it on this node' : 'it has no replica that takes requests');
  }

  close(): void {
    this.#client.destroy();
  }

  sweep(nowMs: number, idleMs: number): boolean {
    const bytes = this.#client.bytesRead + this.#client.bytesWritten;
    if (bytes !== this.#sweptBytes) {
      this.#sweptBytes = bytes;
      this.#quietSinceMs = nowMs;
      return false;
    }
    if (nowMs - this.#quietSinceMs < idleMs) return false;
    this.close();
    return true;
  }

  /** Called by http-proxy before the request is sent. */
  #watch(up: ClientRequest): void {
    this.#up = up;
    up.on('socket', (socket) => {
      this.#after(this.#route.connectTimeoutMs, () => {
        setImmediate(() => {
          if (socket.connecting) up.destroy(new Error('no answer to the connect'));
        });
      });
      socket.once('connect', () => {
        this.#connected = true;
        const { responseTimeoutMs } = this.#route;
        this.#timer?.cancel();
        if (responseTimeoutMs === 0) return;
        this.#after(responseTimeoutMs, () => {
          this.#late = true;
          up.destroy(new Error('no answer in time'));
        });
      });
    });
    up.on('response', (answer) => {
      this.#settle(answer.statusCode ?? 0);
      this.#refused(answer);
    });
    up.on('upgrade', () => {
      this.#settle(101);
    });
  }

  /** From here on there is no other replica. */
  #settle(status: number): void {
    this.#status = status;
    this.#timer?.cancel();
    if (this.#replica !== undefined) this.#route.balancer.succeeded(this.#replica);
    Reflect.deleteProperty(this.#client, 'destroySoon');
  }

  /** The replica stays with its protocol. http-proxy passes its answer on, and the connection ends with it. */
  #refused(answer: IncomingMessage): void {
    const client = this.#client;
    for (const name of namedByConnection(answer.headers.connection) ?? []) Reflect.deleteProperty(answer.headers, name);
    Reflect.deleteProperty(answer.headers, 'keep-alive');
    answer.headers.connection = 'close';
    answer.on('data', () => {
      if (client.writableNeedDrain) answer.pause();
    });
    client.on('drain', () => {
      answer.resume();
    });
    answer.on('error', () => undefined);
    answer.on('close', () => {
      if (!answer.complete) client.destroySoon();
    });
  }

  #open(upstream: Socket): void {
    this.#upstream = upstream;
    if (this.#over) upstream.destroy();
  }

  #after(delayMs: number, call: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#route.clock.after(delayMs, call);
  }

  #failed(error: Error): void {
    const { balancer, counters } = this.#route;
    const replica = this.#replica;
    this.#letGo();
    if (this.#over || replica === undefined) return;
    counters.replicaFailures++;
    if (this.#late) {
      this.#fail(504, 'its replica did not answer in time');
      return;
    }
    if (isReplicasFault(error)) balancer.failed(replica);
    if (this.#connected && this.#repeats++ >= MAX_REPEATS) {
      this.#fail(502, 'its replica broke off before it answered');
      return;
    }
    counters.retries++;
    this.#search.passOver(replica);
  }

  #fail(status: number, why: string): void {
    this.#status = status;
    this.#timer?.cancel();
    Reflect.deleteProperty(this.#client, 'destroySoon');
    const page = pageOf({ status, service: this.#route.service, why }, valueOf(this.#visit.head, 'accept'));
    this.#client.write(pageAnswer(page, false, false, this.#route.clock.wallMs()));
    this.#client.destroySoon();
  }

  #letGo(): void {
    const replica = this.#replica;
    this.#replica = undefined;
    this.#up = undefined;
    this.#timer?.cancel();
    if (replica !== undefined) this.#route.closed(replica);
  }

  #end(reset: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#search.cancel();
    const up = this.#up;
    const upstream = this.#upstream;
    this.#letGo();
    // A replica that ignores the client's end would keep its side for ever.
    if (upstream === undefined) up?.destroy();
    else if (reset) upstream.resetAndDestroy();
    else upstream.destroySoon();
    this.#route.leave(this, this.#visit, this.#status, this.#taskId, true);
  }
}
