// Follows a chunked body (RFC 9112, 7.1) to its end, strictly: sizes are plain hexadecimal digits, every line ends with CR LF. The bytes go on as they came,
// without chunk extensions, which concern one hop only.
import { type Fields, readTrailers } from './head.ts';
import { HeadReader } from './head-reader.ts';

export interface BodySink {
  /** Bytes that go on, valid during the call only. */
  pass(bytes: Buffer, from: number, to: number): void;
  /** The fields behind the last chunk; what ends the body, its empty line included, is the sink's to write. Not called where there are none. */
  trailers(fields: Fields): void;
}

type State = 'size' | 'extension' | 'size-end' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'trailers-lf' | 'fields' | 'done';

/** Instead of an index: the body is none. */
export const BAD_BODY = -1;

/** Of one size: far above any chunk. */
const MAX_SIZE_DIGITS = 12;
/** Of one chunk; nobody is known to send more. */
const MAX_EXTENSION_BYTES = 1024;
/** Of all chunks of a body, as Node has it. */
const MAX_EXTENSIONS_BYTES = 16_384;
const EXTENSION = /^(;[\w!#$%&'*+.^`|~-]+(=([\w!#$%&'*+.^`|~-]+|"[\t !#-[\]-~]*"))?)+$/;

/** Not in trailers: for who believes them there, the body, or the connection, ends elsewhere. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'connection']);

const CR = 13;
const LF = 10;
const SEMICOLON = 59;

export class Chunks {
  /** False: only what the chunks hold goes on, for a peer that knows no chunks. */
  readonly #framed: boolean;
  #state: State = 'size';
  #digits = 0;
  /** Of the chunk: bytes to come. */
  #left = 0;
  #extension = '';
  #extensionsBytes = 0;
  #fields: HeadReader<Fields> | undefined;

  constructor(framed: boolean) {
    this.#framed = framed;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  /** Where the body ends in `bytes`, or `to` where it goes on, or BAD_BODY. */
  take(bytes: Buffer, from: number, to: number, sink: BodySink): number {
    let at = from;
    /** Where what goes on and was not yet passed begins. */
    let begin = from;
    const passUpTo = (end: number): void => {
      if (end > begin && this.#framed) sink.pass(bytes, begin, end);
      begin = end;
    };
    while (at < to && this.#state !== 'done') {
      const sign = bytes[at] ?? 0;
      switch (this.#state) {
        case 'size': {
          const digit = digitOf(sign);
          if (digit >= 0) {
            if (++this.#digits > MAX_SIZE_DIGITS) return BAD_BODY;
            this.#left = this.#left * 16 + digit;
            at++;
          } else if (this.#digits === 0) {
            return BAD_BODY;
          } else if (sign === SEMICOLON) {
            passUpTo(at);
            this.#extension = '';
            this.#state = 'extension';
          } else if (sign === CR) {
            this.#state = 'size-end';
            at++;
          } else return BAD_BODY;
          break;
        }
        case 'extension': {
          const end = bytes.indexOf(CR, at);
          const until = end < 0 || end > to ? to : end;
          this.#extensionsBytes += until - at;
          if (this.#extension.length + until - at > MAX_EXTENSION_BYTES || this.#extensionsBytes > MAX_EXTENSIONS_BYTES) return BAD_BODY;
          this.#extension += bytes.toString('latin1', at, until);
          at = until;
          begin = at;
          if (at === to) break;
          if (!EXTENSION.test(this.#extension)) return BAD_BODY;
          this.#state = 'size-end';
          at++;
          break;
        }
        case 'size-end':
          if (sign !== LF) return BAD_BODY;
          at++;
          this.#digits = 0;
          this.#state = this.#left === 0 ? 'trailers' : 'data';
          break;
        case 'data': {
          const end = Math.min(to, at + this.#left);
          this.#left -= end - at;
          if (!this.#framed) sink.pass(bytes, at, end);
          at = end;
          if (this.#left === 0) this.#state = 'data-cr';
          break;
        }
        case 'data-cr':
          if (sign !== CR) return BAD_BODY;
          at++;
          this.#state = 'data-lf';
          break;
        case 'data-lf':
          if (sign !== LF) return BAD_BODY;
          at++;
          this.#state = 'size';
          break;
        case 'trailers':
          if (sign === CR) {
            at++;
            this.#state = 'trailers-lf';
          } else {
            passUpTo(at);
            this.#fields = new HeadReader(readTrailers);
            this.#state = 'fields';
          }
          break;
        case 'trailers-lf':
          if (sign !== LF) return BAD_BODY;
          at++;
          this.#state = 'done';
          break;
        case 'fields': {
          const fields = this.#fields?.read(bytes, at, to);
          if (fields === undefined) return to;
          if (!('text' in fields) || fields.names.some((name) => FRAMING.has(name))) return BAD_BODY;
          at = this.#fields?.rest ?? to;
          begin = at;
          this.#state = 'done';
          if (this.#framed) sink.trailers(fields);
          break;
        }
      }
    }
    passUpTo(at);
    return at;
  }
}

function digitOf(sign: number): number {
  if (sign >= 48 && sign <= 57) return sign - 48;
  const lower = sign | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
