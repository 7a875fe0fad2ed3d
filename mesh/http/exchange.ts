// One request and its answer: finds it a replica, repeats it before the client notices where that is safe, and streams both ways.
// Upholds: a request is given to another replica only while nothing of it was sent, or where it may be repeated and nothing of an answer arrived;
// memory is bounded by the two sockets' own buffers; a client that leaves takes its request at the replica with it.
import { type Timer } from '../../lib/clock.ts';
import { type Replica } from '../balance/balancer.ts';
import { isReplicasFault } from '../balance/ejection.ts';
import { Search, type Seeker } from '../balance/search.ts';
import { answerHead, informationHead } from './answer-head.ts';
import { type Answerer } from './answerer.ts';
import { Body } from './body.ts';
import { type BodySink } from './chunks.ts';
import { type Client } from './client.ts';
import { answerFraming, UNTIL_CLOSE } from './framing.ts';
import { type AnswerHead, type Fields, valueOf } from './head.ts';
import { CLIENT_QUIET_MS, MAX_REPEATS, MAX_STALE } from './limits.ts';
import { isIdempotent, isSafe } from './methods.ts';
import { type Problem } from './page.ts';
import { type Pool } from './pool.ts';
import { NOWHERE } from './reply.ts';
import { requestHead, trailerLines } from './request-head.ts';
import { type Guest, type HttpRoute } from './route.ts';
import { cookieValueOf, setCookie } from './sticky.ts';
import { GarbledAnswer, type Upstream, type UpstreamUser } from './upstream.ts';
import { type Visit } from './visit.ts';

export class Exchange implements Guest, Seeker, Answerer, UpstreamUser {
  readonly safe: boolean;
  readonly #route: HttpRoute;
  readonly #visit: Visit;
  readonly #client: Client;
  readonly #repeatable: boolean;
  readonly #search: Search;
  #up: Upstream | undefined;
  #replica: Replica | undefined;
  /** Where its connection comes from, and goes back to. */
  #pool: Pool | undefined;
  #connected = false;
  #requestDone: boolean;
  /** The head of an answer that goes with the first bytes of its body. */
  #unsent = '';
  /** Of the answer, as soon as there is one. */
  #status = 0;
  #keepAlive = true;
  /** The client gets in chunks what the replica ends with its connection. */
  #chunking = false;
  /** The mesh's own answer, before its turn. */
  #problem: Problem | undefined;
  #answerDone = false;
  #timer: Timer | undefined;
  #repeats = 0;
  #stale = 0;
  /** Whom it was given to last. */
  #taskId = '';
  #sweptBytes = -1;
  #quietSinceMs = 0;

  constructor(route: HttpRoute, visit: Visit, client: Client) {
    this.#route = route;
    this.#visit = visit;
    this.#client = client;
    const { method } = visit.head;
    this.safe = isSafe(method);
    this.#repeatable = !visit.hasBody && isIdempotent(method);
    this.#requestDone = !visit.hasBody;
    this.#search = new Search(route, this);
  }

  start(): void {
    if (this.#route.enter(this)) this.#search.next(this.#route.stickyTask(this.#visit));
    else this.#fail(503, 'too many requests are open on this node');
  }

  found(replica: Replica): void {
    const route = this.#route;
    const pool = route.poolOf(replica);
    if (!this.#repeatable) pool.dropDoubtful();
    this.#pool = pool;
    this.#replica = replica;
    this.#taskId = replica.taskId;
    this.#connected = false;
    route.opened(replica);
    pool.take(this, replica);
    if (this.#up === undefined) this.#awaitAnswer();
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
    this.#client.destroy();
  }

  sweep(nowMs: number, idleMs: number): boolean {
    const { bytes } = this.#client;
    if (bytes !== this.#sweptBytes) {
      this.#sweptBytes = bytes;
      this.#quietSinceMs = nowMs;
      return false;
    }
    const owes = this.#connected && this.#client.isOwedBy(this);
    const limitMs = owes || this.#client.owed ? Math.min(idleMs, CLIENT_QUIET_MS) : idleMs;
    if (nowMs - this.#quietSinceMs < limitMs) return false;
    if (owes && this.#status === 0) this.#fail(408, 'the rest of the request did not come');
    else this.close();
    return true;
  }

  // What the pool and the replica say.

  given(upstream: Upstream): void {
    this.#up = upstream;
    if (!upstream.connecting) {
      this.connected();
      return;
    }
    this.#after(this.#route.connectTimeoutMs, () => {
      // A stall of this process is no silence of the replica: what has arrived meanwhile is looked at first.
      setImmediate(() => {
        if (this.#up !== upstream || !upstream.connecting) return;
        upstream.destroy();
        this.failed(new Error('no answer to the connect'));
      });
    });
  }

  connected(): void {
    this.#connected = true;
    this.#up?.begin(requestHead(this.#visit, this.#route.trusted));
    if (this.#requestDone) {
      this.#up?.flush();
      this.#awaitAnswer();
      return;
    }
    this.#timer?.cancel();
    this.#client.continue();
  }

  drained(): void {
    if (this.#up === undefined || !this.#connected) return;
    // Either side may have been held back by the other.
    if (!this.#requestDone && !this.#up.full) this.#client.continue();
    if (!this.#client.full) this.#up.readOn();
  }

  mayAnswer(): boolean {
    if (this.#client.isTurnOf(this)) return true;
    this.#timer?.cancel();
    return false;
  }

  answered(head: AnswerHead): Body | undefined {
    const visit = this.#visit;
    const route = this.#route;
    const old = visit.head.minor === 0;
    if (head.status < 200) {
      if (head.status === 101) return undefined;
      // HTTP/1.0 knows none.
      if (!old) this.#client.write(informationHead(head));
      return NO_BODY;
    }
    const framing = answerFraming(head, visit.head.method === 'HEAD');
    if (typeof framing === 'object') return undefined;
    this.#timer?.cancel();
    if (this.#replica !== undefined) route.balancer.succeeded(this.#replica);
    this.#status = head.status;
    this.#keepAlive = visit.keepAlive && !route.sendsClientsAway && !(old && framing < 0);
    this.#chunking = framing === UNTIL_CLOSE && !old;
    this.#unsent = answerHead(head, { framing, old, keepAlive: this.#keepAlive, more: this.#stick() });
    return new Body(framing, !old);
  }

  pass(bytes: Buffer, from: number, to: number): void {
    const chunk = this.#chunking ? `${(to - from).toString(16)}\r\n` : '';
    this.#client.writeOn(this.#unsent + chunk, bytes, from, to, this.#chunking ? '\r\n' : '');
    this.#unsent = '';
  }

  trailers(fields: Fields): void {
    this.#client.write(this.#unsent + trailerLines(fields));
    this.#unsent = '';
  }

  pieceEnded(): boolean {
    if (this.#unsent !== '') this.#client.write(this.#unsent);
    this.#unsent = '';
    return !this.#client.full;
  }

  answerEnded(reusable: boolean): void {
    if (this.#chunking) this.#unsent += '0\r\n\r\n';
    this.pieceEnded();
    this.#letGo(reusable && this.#requestDone);
    this.#finish();
  }

  failed(error: Error): void {
    const { balancer, counters } = this.#route;
    const replica = this.#replica;
    const connected = this.#connected;
    const stale = connected && this.#up?.used === true;
    this.#letGo(false);
    if (this.#status !== 0 && this.#unsent === '') {
      this.#breakOff();
      return;
    }
    this.#status = 0;
    this.#unsent = '';
    if (replica === undefined) return;
    if (stale && this.#repeatable && this.#stale < MAX_STALE) {
      // It had closed an idle connection: so it may have the others.
      this.#stale++;
      this.#pool?.dropIdle();
      counters.retries++;
      this.#search.next(replica.taskId);
      return;
    }
    counters.replicaFailures++;
    if (isReplicasFault(error)) balancer.failed(replica);
    if (connected && (!this.#repeatable || this.#repeats++ >= MAX_REPEATS)) {
      this.#fail(
        502,
        error instanceof GarbledAnswer ? 'its replica answered with what is not HTTP' : 'its replica broke off before it answered',
      );
      return;
    }
    counters.retries++;
    this.#search.passOver(replica);
  }

  // What the client says.

  turn(): void {
    if (this.#problem === undefined) this.#up?.readOn();
    else this.#answerProblem(this.#problem);
  }

  bodySink(): BodySink | undefined {
    if (this.#status !== 0 && this.#up === undefined) return NOWHERE;
    return this.#connected ? this.#up : undefined;
  }

  requestPieceEnded(): boolean {
    if (this.#status !== 0 && this.#up === undefined) return true;
    if (this.#up === undefined || !this.#connected) return false;
    this.#up.flush();
    return !this.#up.full;
  }

  requestEnded(): void {
    this.#requestDone = true;
    this.#up?.flush();
    if (this.#status === 0 && this.#up !== undefined) this.#awaitAnswer();
  }

  requestBad(): void {
    this.#letGo(false);
    this.#keepAlive = false;
    this.#fail(400, 'the body of the request is not what its head says');
  }

  clientGone(): void {
    this.#search.cancel();
    this.#letGo(false);
    this.#leave();
  }

  #awaitAnswer(): void {
    const { responseTimeoutMs } = this.#route;
    if (responseTimeoutMs === 0) {
      this.#timer?.cancel();
      return;
    }
    this.#after(responseTimeoutMs, () => {
      this.#route.counters.replicaFailures++;
      this.#fail(504, `its replica did not answer within ${String(responseTimeoutMs / 1000)} s`);
    });
  }

  #after(delayMs: number, call: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#route.clock.after(delayMs, call);
  }

  #stick(): string {
    const cookie = this.#route.settings?.stickyCookie ?? '';
    if (cookie === '' || this.#route.stickyTask(this.#visit) === this.#taskId) return '';
    return `Set-Cookie: ${setCookie(cookie, cookieValueOf(this.#taskId), this.#visit.ends.proto === 'https')}\r\n`;
  }

  /** The replica broke off in the middle: the client gets what came, and an end that it can tell from a good one. */
  #breakOff(): void {
    this.#route.counters.replicaFailures++;
    this.#client.breakOff(this.#visit.head.minor === 0);
  }

  #fail(status: number, why: string): void {
    this.#letGo(false);
    if (this.#status !== 0) {
      this.close();
      return;
    }
    this.#status = status;
    this.#problem = { status, service: this.#route.service, why };
    if (this.#client.isTurnOf(this)) this.#answerProblem(this.#problem);
  }

  #answerProblem(problem: Problem): void {
    const { head, keepAlive } = this.#visit;
    this.#keepAlive &&= keepAlive && !this.#route.sendsClientsAway;
    this.#client.writePage(problem, valueOf(head, 'accept'), this.#keepAlive, head.method === 'HEAD');
    this.#finish();
  }

  /** Done with the replica, and counted as gone from it. */
  #letGo(reusable: boolean): void {
    const up = this.#up;
    const replica = this.#replica;
    this.#up = undefined;
    this.#replica = undefined;
    this.#timer?.cancel();
    if (replica === undefined) return;
    if (up === undefined) this.#pool?.forget(this);
    else if (reusable) this.#pool?.release(up);
    else up.destroy();
    this.#route.closed(replica);
  }

  #finish(): void {
    this.#answerDone = true;
    this.#client.whenFlushed(() => {
      this.#leave();
    });
    this.#client.answered(this, this.#keepAlive);
  }

  #leave(): void {
    // An answer that waits for its turn has not been given.
    const status = this.#problem !== undefined && !this.#answerDone ? 0 : this.#status;
    this.#route.leave(this, this.#visit, status, this.#taskId, false);
  }
}

/** Behind an answer ahead of the answer. */
const NO_BODY = new Body(0, true);
