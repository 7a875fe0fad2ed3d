// One client connection: reads its requests, one after the other, and has each answered in its turn.
// Upholds: nothing behind a request that is refused is looked at; what is kept of a client that is not read from is at most one piece; answers come in the order
// of their requests, of which further ones are begun early only where all are safe (RFC 9112, 9.3.2).
import { type Socket } from 'node:net';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { copyOf } from '../tcp/sockets.ts';
import { plainAddress } from '../trusted-sources.ts';
import { pageAnswer } from './answer-head.ts';
import { type Answerer } from './answerer.ts';
import { Body } from './body.ts';
import { BAD_BODY } from './chunks.ts';
import { readRequestHead, type Refusal, type RequestHead } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { CLIENT_KEEP_ALIVE_MS, LINGER_MS, MAX_PIPELINED } from './limits.ts';
import { isSafe } from './methods.ts';
import { pageOf, type Problem } from './page.ts';
import { Reply } from './reply.ts';
import { asksForUpgrade } from './upgrade-wish.ts';
import { type Ends, type Visit, visitOf } from './visit.ts';
import { writeOn } from './write.ts';

/** The port that it came to. */
export interface ClientHost {
  readonly clock: Clock;
  answererOf(visit: Visit, client: Client): Answerer;
  /** From here on the socket is the upgrade's. `head`: what came behind the request. */
  upgrade(visit: Visit, socket: Socket, head: Buffer): void;
  /** Malformed, ambiguous, too large or too slow. */
  countRefused(): void;
  left(client: Client): void;
}

const CR = 13;
const LF = 10;
const NOTHING = Buffer.alloc(0);
const NEVER = -Infinity;

export class Client {
  readonly ends: Ends;
  readonly #host: ClientHost;
  readonly #socket: Socket;
  readonly #heads = new HeadReader<RequestHead>(readRequestHead);
  /** Begun and not answered, in the order of their requests. */
  readonly #queue: Answerer[] = [];
  /** Whose body is coming. */
  #receiving: Answerer | undefined;
  #body: Body | undefined;
  /** Read, and waits for those before it. */
  #next: Visit | undefined;
  /** What came behind it. */
  #rest: Buffer | undefined;
  #feeding = false;
  /** Nothing is read for now; `continue` follows. */
  #blocked = false;
  /** The request that came last is the client's last. */
  #last = false;
  /** The client has said its last request, or the mesh has: what follows is thrown away. */
  #deaf = false;
  #linger: Timer | undefined;
  /** Since when it owes a head; NEVER: it owes none. */
  #headSinceMs: number;
  /** Since when it was seen without a request. */
  #idleSinceMs = NEVER;
  #sweptBytes = 0;
  #upgraded: ((piece: Buffer) => boolean) | undefined;

  /** `socket` is paused; `take` gets what comes. */
  constructor(host: ClientHost, socket: Socket, proto: Ends['proto']) {
    this.#host = host;
    this.#socket = socket;
    this.ends = {
      client: plainAddress(socket.remoteAddress ?? ''),
      proto,
      // Asked of the system, and hardly ever needed.
      get ownAuthority() {
        const local = socket.localAddress ?? '';
        return `${local.includes(':') ? `[${local}]` : local}:${String(socket.localPort ?? 0)}`;
      },
    };
    this.#headSinceMs = host.clock.nowMs();
    socket.on('error', ignore);
    socket.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    socket.on('close', this.#onClose);
  }

  /** No request is open, nor has one begun to come. */
  get idle(): boolean {
    return this.#queue.length === 0 && this.#receiving === undefined && !this.#heads.partial && this.#upgraded === undefined;
  }

  /** It does not read as fast as it is written to. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Something written has not left the process. */
  get owed(): boolean {
    return this.#socket.writableLength > 0;
  }

  /** Moved either way. */
  get bytes(): number {
    return this.#socket.bytesRead + this.#socket.bytesWritten;
  }

  readonly take = (piece: Buffer): boolean => {
    if (this.#upgraded !== undefined) return this.#upgraded(piece);
    return this.#feed(piece);
  };

  isTurnOf(answerer: Answerer): boolean {
    return this.#queue[0] === answerer;
  }

  /** Its body is still coming, and it is not the mesh that holds it back. */
  isOwedBy(answerer: Answerer): boolean {
    return this.#receiving === answerer && !this.#blocked;
  }

  /** Only by the one whose turn it is. Text is latin1. */
  write(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** The same, of bytes that are valid during the call only. */
  writeOn(head: string, bytes: Buffer, from: number, to: number, tail: string): void {
    writeOn(this.#socket, head, bytes, from, to, tail);
  }

  writePage(problem: Problem, accept: string | undefined, keepAlive: boolean, bodiless: boolean): void {
    this.#socket.write(pageAnswer(pageOf(problem, accept), keepAlive, bodiless, this.#host.clock.wallMs()));
  }

  /** Calls when what was written has left the process, or never will. */
  whenFlushed(call: () => void): void {
    if (!this.owed || this.#socket.destroyed) call();
    else this.#socket.write(NOTHING, call);
  }

  /** The answer of the one whose turn it was is written. */
  answered(answerer: Answerer, keepAlive: boolean): void {
    this.#queue.shift();
    if (!keepAlive) {
      this.#deaf = true;
      // Unread bytes would make the close a reset, which can overtake the answer.
      if (this.#receiving === answerer || this.#rest !== undefined) this.#end();
      else if (this.owed || this.ends.proto === 'https') this.#socket.destroySoon();
      // Everything has left: the close itself says so, and TLS alone has a word for it.
      else this.#socket.destroy();
      return;
    }
    // The rest of its request is read for a moment, so that the answer is not lost in a reset.
    if (this.#receiving === answerer) this.#lingerBehindAnswer();
    this.#queue[0]?.turn();
    this.continue();
  }

  /** Reads on, where something waits or was held back. */
  continue(): void {
    if (this.#feeding || !this.#blocked) return;
    const rest = this.#rest ?? NOTHING;
    this.#rest = undefined;
    if (this.#feed(rest)) this.#socket.resume();
  }

  /** Ends the connection behind what was written: with a reset where only that tells an answer that broke off from one that is whole. */
  breakOff(reset: boolean): void {
    this.#deaf = true;
    if (reset) this.#socket.resetAndDestroy();
    else this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Called about every second: gives up on one that owes a head, and on one that has been idle for long. */
  sweep(nowMs: number, requestTimeoutMs: number): void {
    if (this.#queue.length > 0 || this.#upgraded !== undefined) return;
    if (this.#headSinceMs !== NEVER) {
      if (nowMs - this.#headSinceMs >= requestTimeoutMs) this.#refuse({ status: 408, why: 'it did not come in time' });
      return;
    }
    // The rest of an answer that still leaves, or of a request that is thrown away.
    const moves = (this.#deaf || this.#receiving !== undefined) && this.bytes !== this.#sweptBytes;
    if (this.#idleSinceMs === NEVER || moves) {
      this.#idleSinceMs = nowMs;
      this.#sweptBytes = this.bytes;
    } else if (nowMs - this.#idleSinceMs >= CLIENT_KEEP_ALIVE_MS) this.destroy();
  }

  /** False: no more for now. */
  #feed(bytes: Buffer): boolean {
    this.#feeding = true;
    this.#blocked = false;
    let at = 0;
    if (this.#next !== undefined && !this.#deaf) this.#begin(this.#next, bytes, at);
    while (at < bytes.length && this.#listening()) {
      at = this.#body === undefined ? this.#readHead(bytes, at) : this.#readBody(this.#body, bytes, at);
    }
    if (this.#receiving?.requestPieceEnded() === false) this.#block();
    this.#feeding = false;
    if (this.#listening() || this.#deaf) return true;
    if (at < bytes.length) this.#rest = copyOf(at === 0 ? bytes : bytes.subarray(at));
    return !this.#blocked;
  }

  #listening(): boolean {
    return !this.#blocked && !this.#deaf && this.#upgraded === undefined;
  }

  #block(): void {
    this.#blocked = !this.#deaf;
  }

  #readHead(bytes: Buffer, from: number): number {
    let at = from;
    // Some clients send a line end behind a body; a server should not mind (RFC 9112, 2.2).
    if (!this.#heads.partial) while (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
    if (at >= bytes.length) return at;
    const head = this.#heads.read(bytes, at, bytes.length);
    if (head === undefined) {
      if (this.#headSinceMs === NEVER) this.#headSinceMs = this.#host.clock.nowMs();
      return bytes.length;
    }
    const visit = 'text' in head ? visitOf(head, this.ends, this.#host.clock.nowMs()) : head;
    if ('why' in visit) {
      this.#refuse(visit);
      return bytes.length;
    }
    this.#headSinceMs = NEVER;
    this.#begin(visit, bytes, this.#heads.rest);
    return this.#listening() || this.#blocked ? this.#heads.rest : bytes.length;
  }

  #begin(visit: Visit, bytes: Buffer, at: number): void {
    const upgrade = asksForUpgrade(visit);
    if (!this.#mayBegin(visit, upgrade)) {
      this.#next = visit;
      this.#block();
      return;
    }
    this.#next = undefined;
    this.#idleSinceMs = NEVER;
    if (upgrade) {
      this.#handOver(visit, copyOf(bytes.subarray(at)));
      return;
    }
    const answerer = this.#host.answererOf(visit, this);
    this.#queue.push(answerer);
    if (visit.hasBody) {
      this.#receiving = answerer;
      this.#body = new Body(visit.framing, true);
    }
    this.#last = !visit.keepAlive;
    this.#deaf = this.#last && !visit.hasBody;
    answerer.start();
  }

  #mayBegin({ head, hasBody }: Visit, upgrade: boolean): boolean {
    const queue = this.#queue;
    if (queue.length === 0) return true;
    return queue.length < MAX_PIPELINED && !upgrade && !hasBody && isSafe(head.method) && queue.every(({ safe }) => safe);
  }

  #readBody(body: Body, bytes: Buffer, at: number): number {
    const receiving = this.#receiving;
    const sink = receiving?.bodySink();
    if (receiving === undefined || sink === undefined) {
      this.#block();
      return at;
    }
    const end = body.take(bytes, at, bytes.length, sink);
    if (end === BAD_BODY) {
      this.#deaf = true;
      this.#host.countRefused();
      this.#receiving = undefined;
      receiving.requestBad();
      return bytes.length;
    }
    if (body.done) {
      this.#body = undefined;
      this.#receiving = undefined;
      this.#deaf ||= this.#last;
      this.#linger?.cancel();
      this.#linger = undefined;
      receiving.requestEnded();
    }
    return end;
  }

  #refuse({ status, why }: Refusal): void {
    this.#deaf = true;
    this.#headSinceMs = NEVER;
    this.#host.countRefused();
    const reply = new Reply(this, { status, service: '', why: `the request is refused: ${why}` }, { keepAlive: false });
    this.#queue.push(reply);
    // What it has sent beyond is read before the close.
    this.#receiving ??= reply;
    reply.start();
  }

  #handOver(visit: Visit, head: Buffer): void {
    const socket = this.#socket;
    socket.off('error', ignore);
    socket.off('end', this.#onEnd);
    socket.off('drain', this.#onDrain);
    socket.pause();
    if (socket.listenerCount('data') > 0) {
      socket.removeAllListeners('data');
      this.#upgraded = () => true;
    } else this.#upgraded = (piece) => socket.push(copyOf(piece));
    this.#host.upgrade(visit, socket, head);
    // So that its end is seen while it waits, within what a stream keeps.
    socket.read(0);
  }

  /** Ends the mesh's direction, and waits a moment for the client's. */
  #end(): void {
    this.#rest = undefined;
    this.#lingerBehindAnswer();
    this.#socket.end();
    this.#socket.resume();
  }

  #lingerBehindAnswer(): void {
    this.whenFlushed(() => {
      if (this.#receiving === undefined && !this.#deaf) return;
      this.#linger ??= this.#host.clock.after(
        LINGER_MS,
        () => {
          this.destroy();
        },
        true,
      );
    });
  }

  readonly #onEnd = (): void => {
    this.#socket.destroySoon();
  };

  readonly #onDrain = (): void => {
    this.#queue[0]?.drained();
  };

  readonly #onClose = (): void => {
    this.#linger?.cancel();
    for (const answerer of this.#queue.splice(0)) answerer.clientGone();
    this.#host.left(this);
  };
}

/** The connection's close says the same; without a listener Node throws. */
function ignore(): void {
  return;
}
