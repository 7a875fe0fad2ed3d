// One connection to a replica, kept between requests: sends the request of the one who has it, and reads the answer for him.
// Upholds: what is read is the answer to what was sent. Bytes that nobody asked for, or behind the end of an answer, end the connection.
import { type Socket } from 'node:net';
import { connectTo, copyOf } from '../tcp/sockets.ts';
import { type Body } from './body.ts';
import { BAD_BODY, type BodySink } from './chunks.ts';
import { type AnswerHead, type Fields, readAnswerHead } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { trailerLines } from './request-head.ts';
import { keepsAlive } from './visit.ts';
import { writeOn } from './write.ts';

/** Who has the connection. The sink is where the answer's body goes. */
export interface UpstreamUser extends BodySink {
  /** The connection is his. It may still have to come about: `connected` follows. */
  given(upstream: Upstream): void;
  connected(): void;
  /** What was sent has left the process: more may follow. */
  drained(): void;
  /** Something of an answer has come. False: he cannot take it yet; `readOn` follows. */
  mayAnswer(): boolean;
  /** Also for answers ahead of the answer. The body that follows, or undefined where there can be no such answer. */
  answered(head: AnswerHead): Body | undefined;
  /** After each piece of an answer. False: no more for now; `readOn` follows. */
  pieceEnded(): boolean;
  /** The answer is whole. `reusable`: as far as the replica's side goes. */
  answerEnded(reusable: boolean): void;
  /** The connection broke before that. */
  failed(error: Error): void;
}

/** The pool that it belongs to. */
export interface UpstreamHost {
  gone(upstream: Upstream): void;
}

/** What the replica sent is not HTTP, or may be read in two ways. */
export class GarbledAnswer extends Error {}

export class Upstream implements BodySink {
  readonly host: string;
  readonly port: number;
  readonly #pool: UpstreamHost;
  readonly #socket: Socket;
  readonly #heads = new HeadReader<AnswerHead>(readAnswerHead);
  #user: UpstreamUser | undefined;
  #body: Body | undefined;
  #reusable = false;
  #used = false;
  /** The head of a request that goes with the first bytes of its body. */
  #unsent = '';
  /** Of an answer whose turn has not come. */
  #parked: Buffer | undefined;
  #ended: Error | undefined;
  /** On the pool's list of idle ones since. */
  idleSinceMs = 0;

  constructor(pool: UpstreamHost, host: string, port: number) {
    this.#pool = pool;
    this.host = host;
    this.port = port;
    const socket = connectTo(host, port, (piece) => this.#take(piece));
    this.#socket = socket;
    socket.on('connect', () => {
      this.#user?.connected();
    });
    socket.on('drain', () => {
      this.#user?.drained();
    });
    socket.on('end', () => {
      this.#over(undefined);
    });
    socket.on('error', (error) => {
      this.#over(error);
    });
    socket.on('close', () => {
      this.#over(new Error('the connection is closed'));
    });
  }

  get connecting(): boolean {
    return this.#socket.connecting;
  }

  /** It has carried a request before. */
  get used(): boolean {
    return this.#used;
  }

  /** No more of a request for now; `drained` follows. */
  get full(): boolean {
    return this.#socket.writableNeedDrain;
  }

  giveTo(user: UpstreamUser): void {
    this.#user = user;
    user.given(this);
  }

  /** Of a request with a body: the head is sent with its first bytes, or by `flush`. */
  begin(head: string): void {
    this.#unsent = head;
  }

  flush(): void {
    if (this.#unsent === '') return;
    this.#socket.write(this.#unsent, 'latin1');
    this.#unsent = '';
  }

  pass(bytes: Buffer, from: number, to: number): void {
    writeOn(this.#socket, this.#unsent, bytes, from, to);
    this.#unsent = '';
  }

  trailers(fields: Fields): void {
    this.#socket.write(this.#unsent + trailerLines(fields), 'latin1');
    this.#unsent = '';
  }

  /** Of a user who had to wait. */
  readOn(): void {
    const piece = this.#parked;
    this.#parked = undefined;
    if (piece !== undefined && !this.#take(piece)) return;
    if (this.#ended === undefined) this.#socket.resume();
    else this.#over(this.#ended);
  }

  /** The user is done with it, and with him the connection. */
  destroy(): void {
    this.#user = undefined;
    this.#socket.destroy();
    this.#pool.gone(this);
  }

  #take(piece: Buffer): boolean {
    const user = this.#user;
    if (user === undefined) {
      this.destroy();
      return false;
    }
    if (!user.mayAnswer()) {
      this.#parked = copyOf(piece);
      return false;
    }
    let at = 0;
    while (at < piece.length) {
      if (this.#body === undefined) {
        const head = this.#heads.read(piece, at, piece.length);
        if (head === undefined) return true;
        if (!('text' in head)) {
          this.#break(new GarbledAnswer(head.why));
          return false;
        }
        at = this.#heads.rest;
        const body = user.answered(head);
        if (this.#user !== user) return false;
        if (head.status < 200 && body !== undefined) continue;
        if (body === undefined) {
          this.#break(new GarbledAnswer('its head contradicts itself'));
          return false;
        }
        this.#body = body;
        this.#reusable = keepsAlive(head, head.minor) && !body.untilClose;
      } else {
        at = this.#body.take(piece, at, piece.length, user);
        if (at === BAD_BODY) {
          this.#break(new GarbledAnswer('its chunks are none'));
          return false;
        }
      }
      if (this.#body.done) {
        this.#finish(at === piece.length);
        return true;
      }
    }
    return user.pieceEnded();
  }

  #finish(whole: boolean): void {
    const user = this.#user;
    this.#user = undefined;
    this.#body = undefined;
    this.#used = true;
    user?.answerEnded(whole && this.#reusable);
  }

  /** The replica has ended its direction, with an error or in order. What it sent before is read first. */
  #over(error: Error | undefined): void {
    if (this.#parked !== undefined) this.#ended = error;
    else if (error === undefined && this.#body?.untilClose === true) this.#finish(false);
    else this.#break(error ?? new Error('it ended the connection'));
  }

  #break(error: Error): void {
    const user = this.#user;
    this.destroy();
    user?.failed(error);
  }
}
