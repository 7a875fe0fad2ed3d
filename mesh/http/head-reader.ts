// Heads that come in pieces: kept until they are whole, bounded, and read once, so that a sender of single bytes costs no more than his bytes.
import { type Fields, type Read, refusedAlready, type Refusal, TOO_LONG } from './head.ts';
import { MAX_HEAD_BYTES } from './limits.ts';

const FIRST_BYTES = 1024;
const END = '\r\n\r\n';

export class HeadReader<T extends Fields> {
  readonly #read: Read<T>;
  #kept: Buffer | undefined;
  #length = 0;
  #rest = 0;

  constructor(read: Read<T>) {
    this.#read = read;
  }

  /** Some of a head is there, and not all of it. */
  get partial(): boolean {
    return this.#kept !== undefined;
  }

  /** Where in the bytes of the last `read` that gave a head its own end. */
  get rest(): number {
    return this.#rest;
  }

  /** `bytes` may be the caller's again afterwards. Undefined: all of them belong to a head that is not whole. */
  read(bytes: Buffer, from: number, to: number): T | Refusal | undefined {
    if (this.#kept !== undefined) return this.#readOn(bytes, from, to);
    const head = this.#read(bytes, from, to);
    if (head === undefined) {
      const refusal = refusedAlready(bytes, from, to);
      if (refusal === undefined) this.#keep(bytes, from, to);
      return refusal;
    }
    if ('text' in head) this.#rest = from + head.text.length;
    return head;
  }

  #readOn(bytes: Buffer, from: number, to: number): T | Refusal | undefined {
    const before = this.#length;
    const kept = this.#keep(bytes, from, Math.min(to, from + MAX_HEAD_BYTES + 1 - before));
    const end = kept.indexOf(END, Math.max(0, before - END.length + 1), 'latin1');
    if (end < 0) return refusedAlready(kept, before, this.#length) ?? (this.#length > MAX_HEAD_BYTES ? TOO_LONG : undefined);
    const head = this.#read(kept, 0, end + END.length);
    this.#kept = undefined;
    this.#length = 0;
    this.#rest = from + end + END.length - before;
    return head ?? { status: 400, why: 'its head has no fields where some should be' };
  }

  /** Zeros behind what was kept; grown by doubling, so that what is copied stays in proportion to what has come. */
  #keep(bytes: Buffer, from: number, to: number): Buffer {
    const length = this.#length + to - from;
    let kept = this.#kept;
    if (kept === undefined || kept.length < length) {
      const grown = Buffer.alloc(Math.max(FIRST_BYTES, 2 * length));
      kept?.copy(grown, 0, 0, this.#length);
      kept = grown;
      this.#kept = grown;
    }
    bytes.copy(kept, this.#length, from, to);
    this.#length = length;
    return kept;
  }
}
