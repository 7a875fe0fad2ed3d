// The one clock of a simulated world: a heap of what is to happen, taken in order of time, and of being asked for where times are equal. After each event
// everything that became ready runs to its end before the next is taken, so that a seed decides the whole run.
import { Heap } from '../../../lib/heap.ts';

/** Whoever events belong to: what is due for one that is dead never happens, and what is due while one stands still happens when it goes on. */
export interface Owner {
  readonly name: string;
  alive: boolean;
  stalledUntilMs: number;
}

export interface Scheduled {
  cancel(): void;
}

interface Entry {
  atMs: number;
  order: number;
  readonly owner: Owner;
  call: (() => void) | undefined;
}

export class Scheduler {
  /** Virtual milliseconds since the world began. */
  nowMs = 0;
  /** Events that happened. */
  steps = 0;
  /** Of those, so many in the present instant. */
  stepsNow = 0;
  #order = 0;
  readonly #heap = new Heap<Entry>((a, b) => a.atMs - b.atMs || a.order - b.order);

  after(owner: Owner, delayMs: number, call: () => void): Scheduled {
    const entry: Entry = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, owner, call };
    this.#heap.push(entry);
    return {
      cancel: () => {
        entry.call = undefined;
      },
    };
  }

  /** Runs the next event and all that follows from it at once; undefined: nothing is due before `untilMs`, and the clock stands there. */
  async step(untilMs: number): Promise<Owner | undefined> {
    for (;;) {
      const entry = this.#heap.peek();
      if (entry === undefined || entry.atMs > untilMs) {
        this.nowMs = untilMs;
        return undefined;
      }
      this.#heap.pop();
      const { call, owner } = entry;
      if (call === undefined || !owner.alive) continue;
      if (owner.stalledUntilMs > entry.atMs) {
        entry.atMs = owner.stalledUntilMs;
        entry.order = this.#order++;
        this.#heap.push(entry);
        continue;
      }
      this.stepsNow = entry.atMs > this.nowMs ? 1 : this.stepsNow + 1;
      this.nowMs = entry.atMs;
      this.steps++;
      call();
      await turn();
      return owner;
    }
  }
}

/** Immediates asked for at once: they run one after another in one turn of the event loop, each with all that is ready after it. */
const BATCH = 64;
let asked = 0;
let waiting: (() => void)[] = [];

function next(): void {
  asked--;
  const ready = waiting;
  waiting = [];
  for (const resolve of ready) resolve();
}

/** Everything that is ready runs before this resolves: microtasks, ticks and rejections are drained between two immediates. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (asked > 0) return;
    asked = BATCH;
    for (let at = 0; at < BATCH; at++) setImmediate(next);
  });
}
