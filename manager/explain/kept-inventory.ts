// The scheduler's inventory for explanations: to build it costs a pass over all tasks, which a manager of a large cluster should not make for each
// call. So it is kept up to date from one call to the next, and dropped when nobody has asked for a while.
import type { Clock } from '../../lib/clock.ts';
import { InventoryFeed } from '../leader/inventory-feed.ts';
import type { Inventory } from '../scheduler/inventory.ts';
import type { ClusterState } from '../state/index.ts';

/** Longer than somebody who watches `service explain` waits between two looks. */
const KEPT_MS = 60_000;

export class KeptInventory {
  readonly #state: ClusterState;
  readonly #clock: Clock;
  #feed: InventoryFeed | undefined;
  #askedMs = 0;

  constructor(state: ClusterState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  /** Of the state as it is now; only to be read, and not to be kept. */
  get(): Inventory {
    this.#askedMs = this.#clock.nowMs();
    return (this.#feed ??= this.#follow()).inventory;
  }

  /** There is nothing to be stopped: the first change after nobody has asked for a while ends it. */
  #follow(): InventoryFeed {
    const feed = new InventoryFeed(this.#state, this.#clock);
    const unsubscribe = this.#state.subscribe((changes) => {
      if (this.#clock.nowMs() - this.#askedMs < KEPT_MS) {
        feed.note(changes);
        return;
      }
      unsubscribe();
      this.#feed = undefined;
    });
    return feed;
  }
}
