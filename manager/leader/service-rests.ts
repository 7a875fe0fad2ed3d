// A big service is not looked at again at once: a look costs a pass over all its tasks, and while they change, there is another reason for one every few
// milliseconds. What changes during the rest is seen together, so that a change of one task costs the same however many others there are.
import type { Clock, Timer } from '../../lib/clock.ts';

/** A few times what a look costs per task (about 5 us): a service takes no more than a part of the leader's time. */
const REST_US_PER_TASK = 20;
/** Below, a rest is not worth a timer: small services are looked at whenever something changes. */
const LEAST_MS = 5;
/** Nobody waits longer for the leader than they would notice. */
const MOST_MS = 500;

export class ServiceRests {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  readonly #resting = new Map<string, Timer>();

  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  has(serviceId: string): boolean {
    return this.#resting.has(serviceId);
  }

  /** After a look at so many tasks. */
  begin(serviceId: string, taskCount: number): void {
    const restMs = Math.min(MOST_MS, (taskCount * REST_US_PER_TASK) / 1000);
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
