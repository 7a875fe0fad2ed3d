// A big service is not looked at again at once: a look costs a pass over all its tasks, and while they change, there is another reason for one every few
// milliseconds. What changes during the rest is seen together, so that the change of one task costs the same however many others there are.
import type { Clock, Timer } from '../../lib/clock.ts';

/** A few times what a look costs per task: looks take no more than a part of the leader's time, those of one service or of many. */
const REST_US_PER_TASK = 40;
/** Below, a rest is not worth a timer: small services are looked at whenever something changes. */
const LEAST_MS = 5;
/** Nobody waits longer for the leader than this. */
const MOST_MS = 1000;
/** How far the looks at others may lengthen a service's own rest: what is small stays quick in a busy cluster. */
const MOST_FOR_OTHERS = 10;

export class ServiceRests {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  readonly #resting = new Map<string, Timer>();
  /** When all looks so far have had their rest, one after another. */
  #evenAtMs: number;

  /** `onOver`: some service may be looked at again. */
  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
    this.#evenAtMs = clock.nowMs();
  }

  has(serviceId: string): boolean {
    return this.#resting.has(serviceId);
  }

  /** After a look at so many tasks. */
  begin(serviceId: string, taskCount: number): void {
    const nowMs = this.#clock.nowMs();
    const ownMs = (taskCount * REST_US_PER_TASK) / 1000;
    this.#evenAtMs = Math.min(Math.max(this.#evenAtMs, nowMs) + ownMs, nowMs + MOST_MS);
    const restMs = Math.min(this.#evenAtMs - nowMs, ownMs * MOST_FOR_OTHERS);
    if (restMs < LEAST_MS) return;
    this.#resting.get(serviceId)?.cancel();
    const timer = this.#clock.after(restMs, () => {
      this.#resting.delete(serviceId);
      this.#onOver();
    });
    this.#resting.set(serviceId, timer);
  }

  stop(): void {
    for (const timer of this.#resting.values()) timer.cancel();
    this.#resting.clear();
  }
}
