// Finds a replica for one request or connection: the balancer's choice, then others as they fail, then waiting, within limits, until there is one again.
import { type Backoff, backoff } from '../../lib/backoff.ts';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Rng } from '../../lib/rng.ts';
import { HOLD_RETRY } from '../limits.ts';
import { type Balancer, type Replica } from './balancer.ts';

/** Where it searches. */
export interface SearchField {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly balancer: Balancer;
  readonly holdMs: number;
  /** New clients wait though there may be replicas; `wake` follows. */
  readonly paused: boolean;
  /** Puts it on the list of those that wait for a replica; false: no more may wait. */
  hold(search: Search): boolean;
  unhold(search: Search): void;
}

export interface Seeker {
  /** Called within `next` and `passOver`, or later. */
  found(replica: Replica): void;
  /** Every replica has failed in this round: true where it has an answer without one, and the search is over. */
  settlesFor?(): boolean;
  /** `full`: no more may wait. Otherwise there was none in time. */
  notFound(full: boolean): void;
}

export class Search {
  readonly #field: SearchField;
  readonly #seeker: Seeker;
  /** Replicas that failed in this round. */
  #tried: Set<string> | undefined;
  #deadlineMs = Infinity;
  #timer: Timer | undefined;
  #retry: Backoff | undefined;
  #held = false;

  constructor(field: SearchField, seeker: Seeker) {
    this.#field = field;
    this.#seeker = seeker;
  }

  /** `preferred`: a task that is taken if it takes new clients and is well. */
  next(preferred?: string): void {
    const { balancer, paused } = this.#field;
    const wished = paused || preferred === undefined ? undefined : balancer.healthy(preferred);
    const replica = wished ?? (paused ? undefined : balancer.choose(this.#tried));
    if (replica === undefined) this.#noneLeft();
    else this.#seeker.found(replica);
  }

  /** It failed: the next one. */
  passOver(replica: Replica): void {
    this.#tried ??= new Set();
    this.#tried.add(replica.taskId);
    const nowMs = this.#field.clock.nowMs();
    if (this.#deadlineMs === Infinity) this.#deadlineMs = nowMs + this.#field.holdMs;
    if (nowMs >= this.#deadlineMs && this.#tried.size >= this.#field.balancer.size) this.#noneLeft();
    else this.next();
  }

  /** The targets have changed: worth another round, if it waits. */
  wake(): void {
    if (!this.#held) return;
    this.cancel();
    this.next();
  }

  /** It waits no longer; nothing is called any more, unless it is asked for another one. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#held) return;
    this.#held = false;
    this.#field.unhold(this);
  }

  /** The port closes: who waits is told that there is none. */
  giveUp(): void {
    this.cancel();
    this.#seeker.notFound(false);
  }

  /** Every replica has failed in this round, or there is none. */
  #noneLeft(): void {
    const { clock, rng, holdMs, paused, balancer } = this.#field;
    this.#tried = undefined;
    if (!paused && this.#seeker.settlesFor?.() === true) return;
    const nowMs = clock.nowMs();
    if (this.#deadlineMs === Infinity) this.#deadlineMs = nowMs + holdMs;
    if (nowMs >= this.#deadlineMs) {
      this.#seeker.notFound(false);
      return;
    }
    if (!this.#field.hold(this)) {
      this.#seeker.notFound(true);
      return;
    }
    this.#held = true;
    this.#retry ??= backoff(HOLD_RETRY, rng);
    const leftMs = this.#deadlineMs - nowMs;
    // Where it is paused, or there is no replica at all, only a new table helps, and that wakes it.
    const waitMs = paused || balancer.size === 0 ? leftMs : Math.min(leftMs, this.#retry.nextMs());
    this.#timer = clock.after(waitMs, () => {
      this.wake();
    });
  }
}
