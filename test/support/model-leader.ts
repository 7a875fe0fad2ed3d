// What the leader does besides reconciling, for the model cluster: the real watch over nodes, inventory, record of failures and placer.
import type { Clock } from '../../lib/clock.ts';
import { recordFailures } from '../../manager/leader/failure-record.ts';
import { InventoryFeed } from '../../manager/leader/inventory-feed.ts';
import { NodeWatchBook } from '../../manager/leader/node-watch.ts';
import { placeWaiting } from '../../manager/leader/placer.ts';
import type { WriteGroup } from '../../manager/orchestrator/plan.ts';
import type { ClusterState } from '../../manager/state/index.ts';

export interface ModelLeader {
  /** What it writes about nodes, before it looks at any service. */
  aboutNodes(): WriteGroup | undefined;
  /** All that is to be written for these services: as the leader does, in one go. */
  place(groups: readonly WriteGroup[], services: readonly string[]): readonly WriteGroup[];
  /** Until it has something to say about nodes again; undefined: not before something changes. */
  readonly wakeInMs: number | undefined;
  /** Another one leads. */
  stop(): void;
}

export function modelLeader(state: ClusterState, clock: Clock): ModelLeader {
  const feed = new InventoryFeed(state, clock);
  const book = new NodeWatchBook(state, clock);
  let assumed: readonly string[] = [];
  const stop = state.subscribe((changes) => {
    book.note(changes);
    feed.note(changes);
  });
  return {
    stop,
    aboutNodes: () => book.plan(),
    get wakeInMs() {
      return book.wakeAtMs === undefined ? undefined : Math.max(1, book.wakeAtMs - clock.nowMs());
    },
    place(groups, services) {
      // As after the commit: what did not get into the state does not take room any longer.
      for (const taskId of assumed) feed.feedTask(taskId);
      const recorded = recordFailures(groups, services, state, feed.inventory, clock.nowMs());
      const placed = placeWaiting(recorded, services, state, feed, clock);
      assumed = placed.assumed;
      return placed.groups;
    },
  };
}
