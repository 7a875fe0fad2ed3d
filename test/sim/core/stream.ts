// One side of a simulated call, as far as grpc-js's streams are used.
import { EventEmitter } from 'node:events';

/** Of one direction; what is beyond is taken, with the sender told to wait. */
const WINDOW = 32;

export interface StreamOptions {
  readonly peer: string;
  readonly encode: (value: unknown) => Buffer;
  readonly send: (bytes: Buffer) => void;
  /** This side has said everything. */
  readonly half: () => void;
  readonly cancel: () => void;
}

/** One side of a call, as far as grpc-js's streams are used: data flows once somebody listens, unless paused. */
export class Stream extends EventEmitter {
  inFlight = 0;
  ended = false;
  readonly #options: StreamOptions;
  readonly #waiting: { readonly value: unknown; readonly taken: () => void }[] = [];
  #flowing: boolean | undefined;
  #draining = false;
  #saidAll = false;
  #needsDrain = false;
  #finished = false;

  constructor(options: StreamOptions) {
    super();
    this.#options = options;
    this.on('newListener', (event: string) => {
      if (event !== 'data' || this.#flowing !== undefined) return;
      this.#flowing = true;
      queueMicrotask(() => {
        this.#flow();
      });
    });
  }

  getPeer(): string {
    return this.#options.peer;
  }

  write(message: unknown): boolean {
    if (this.#saidAll || this.ended) return false;
    const bytes = this.#options.encode(message);
    // What is encoded once may go to many: each gets its own copy.
    this.#options.send(Buffer.from(bytes));
    const full = this.inFlight >= WINDOW;
    if (full) this.#needsDrain = true;
    return !full;
  }

  end(): void {
    if (this.#saidAll || this.ended) return;
    this.#saidAll = true;
    this.#options.half();
  }

  cancel(): void {
    this.#options.cancel();
  }

  pause(): this {
    this.#flowing = false;
    return this;
  }

  resume(): this {
    if (this.#flowing === true) return this;
    this.#flowing = true;
    queueMicrotask(() => {
      this.#flow();
    });
    return this;
  }

  isPaused(): boolean {
    return this.#flowing === false;
  }

  arrived(value: unknown, taken: () => void): void {
    this.#waiting.push({ value, taken });
    this.#flow();
  }

  /** One of the messages sent has been read. */
  taken(): void {
    this.inFlight--;
    if (!this.#needsDrain || this.inFlight > WINDOW / 2 || this.ended) return;
    this.#needsDrain = false;
    this.emit('drain');
  }

  /** The other side has said everything. */
  finished(): void {
    this.#finished = true;
    this.#flow();
  }

  failed(error: Error): void {
    this.#waiting.length = 0;
    this.ended = true;
    this.emit('error', error);
    this.emit('close');
  }

  /** The call is over, however it ended. */
  gone(): void {
    this.ended = true;
    this.emit('cancelled', 'cancelled');
    this.emit('close');
  }

  #flow(): void {
    if (this.#draining) return;
    this.#draining = true;
    while (this.#flowing === true && !this.ended) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.taken();
      this.emit('data', next.value);
    }
    this.#draining = false;
    if (!this.#finished || this.#waiting.length > 0 || this.ended || this.#flowing === false) return;
    this.#finished = false;
    this.emit('end');
  }
}
