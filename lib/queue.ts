// A bounded queue between something that pushes and one reader that iterates.
import type { ShoalError } from './errors.ts';

/**
 * Iterated by one reader. `push` refuses (returns false) when `limit` items wait: the owner decides what that means.
 * `end` lets the reader take what waits and finish; `fail` makes it throw after that.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;
  #end: { readonly error: ShoalError | undefined } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): boolean {
    if (this.#end !== undefined || this.#items.length >= this.#limit) return false;
    this.#items.push(item);
    this.#wake?.();
    return true;
  }

  end(): void {
    this.#finish(undefined);
  }

  fail(error: ShoalError): void {
    this.#finish(error);
  }

  #finish(error: ShoalError | undefined): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        yield item;
        continue;
      }
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
