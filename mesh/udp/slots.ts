// Gives out small whole numbers: the one that was given back longest ago, once it has rested, before a new one.

export class Slots {
  readonly #most: number;
  readonly #restMs: number;
  /** Never given out: this one and all above. */
  #fresh = 0;
  /** Given back, oldest first, from `#head` on. */
  #back: { readonly slot: number; readonly sinceMs: number }[] = [];
  #head = 0;

  constructor(most: number, restMs: number) {
    this.#most = most;
    this.#restMs = restMs;
  }

  /** Undefined: all are out. One that has not rested comes only where nothing else is left. */
  take(nowMs: number): number | undefined {
    const oldest = this.#back[this.#head];
    if (oldest !== undefined && (nowMs - oldest.sinceMs >= this.#restMs || this.#fresh >= this.#most)) {
      this.#head++;
      if (this.#head * 2 > this.#back.length) {
        this.#back = this.#back.slice(this.#head);
        this.#head = 0;
      }
      return oldest.slot;
    }
    return this.#fresh < this.#most ? this.#fresh++ : undefined;
  }

  give(slot: number, nowMs: number): void {
    this.#back.push({ slot, sinceMs: nowMs });
  }
}
