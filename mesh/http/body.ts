// A body on its way: whose bytes the next ones are, until it has ended.
import { type BodySink, Chunks } from './chunks.ts';
import { CHUNKED, type Framing, UNTIL_CLOSE } from './framing.ts';

export class Body {
  /** Bytes to come; of one without a length, Infinity. */
  #left: number;
  readonly #chunks: Chunks | undefined;

  /** `framed`: chunks go on as chunks. */
  constructor(framing: Framing, framed: boolean) {
    this.#chunks = framing === CHUNKED ? new Chunks(framed) : undefined;
    this.#left = framing === UNTIL_CLOSE ? Infinity : framing;
  }

  get done(): boolean {
    return this.#chunks === undefined ? this.#left === 0 : this.#chunks.done;
  }

  /** It ends with the connection. */
  get untilClose(): boolean {
    return this.#left === Infinity;
  }

  /** Where it ends in `bytes`, or `to` where it goes on, or BAD_BODY. */
  take(bytes: Buffer, from: number, to: number, sink: BodySink): number {
    if (this.#chunks !== undefined) return this.#chunks.take(bytes, from, to, sink);
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    if (end > from) sink.pass(bytes, from, end);
    return end;
  }
}
