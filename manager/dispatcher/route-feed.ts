// Publishes route tables to all sessions: each table is encoded once, each agent gets one full table and then increments, and one whose stream
// was full meanwhile gets the full table again.
import type { AdaptiveWindow } from '../../lib/adaptive-window.ts';
import { type Epoch, ManagerMessage, type PortRoute } from '../../proto/index.ts';
import type { ClusterState } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import type { RevisionGate } from './revision-gate.ts';
import { changesNothing, routeDelta } from './route-delta.ts';
import { RouteIndex } from './route-index.ts';

/** One agent's stream. */
export interface RouteSubscriber {
  congested(): boolean;
  sendRoutes(message: Uint8Array, revision: Revision): void;
}

export interface RouteFeedOptions {
  readonly state: ClusterState;
  readonly gate: RevisionGate;
  readonly epochAt: (revision: Revision) => Epoch;
  readonly window: (flush: () => void) => AdaptiveWindow;
}

interface Published {
  readonly epoch: Epoch;
  readonly ports: readonly PortRoute[];
  full: Uint8Array | undefined;
}

export class RouteFeed {
  #index: RouteIndex;
  readonly #options: RouteFeedOptions;
  readonly #window: AdaptiveWindow;
  /** The revision that each was told last; undefined: needs the full table. */
  readonly #told = new Map<RouteSubscriber, Revision | undefined>();
  #published: Published | undefined;
  #floor: Revision = 0;

  constructor(options: RouteFeedOptions) {
    this.#options = options;
    this.#index = new RouteIndex(options.state);
    this.#window = options.window(() => {
      this.#publish();
    });
  }

  get index(): RouteIndex {
    return this.#index;
  }

  /** Revision of the newest table that was sent. */
  get publishedRevision(): Revision {
    return this.#published?.epoch.revision ?? 0;
  }

  /** The state has moved on. */
  changed(): void {
    if (this.#index.revision > this.publishedRevision) this.#window.trigger();
  }

  /** `applied` is what the agent's mesh has; nothing is ever named lower than that. */
  attach(subscriber: RouteSubscriber, applied: Revision): void {
    this.#floor = Math.max(this.#floor, applied);
    this.#told.set(subscriber, undefined);
    this.#publish();
    this.pump(subscriber);
  }

  detach(subscriber: RouteSubscriber): void {
    this.#told.delete(subscriber);
  }

  /** The agent found a gap. */
  restart(subscriber: RouteSubscriber): void {
    if (!this.#told.has(subscriber)) return;
    this.#told.set(subscriber, undefined);
    this.pump(subscriber);
  }

  /** Brings one agent to the published table, if its stream has room. */
  pump(subscriber: RouteSubscriber): void {
    const published = this.#published;
    if (published === undefined || !this.#told.has(subscriber) || subscriber.congested()) return;
    const revision = published.epoch.revision;
    if (this.#told.get(subscriber) === revision) return;
    const { epoch, ports } = published;
    published.full ??= ManagerMessage.encode({ message: { case: 'routes', value: { epoch, ports } } });
    this.#told.set(subscriber, revision);
    subscriber.sendRoutes(published.full, revision);
  }

  /** The store has another incarnation: revisions begin anew, and nothing told so far has a name in it. */
  beginHistory(): void {
    this.#index = new RouteIndex(this.#options.state);
    this.#published = undefined;
    this.#floor = 0;
    for (const subscriber of this.#told.keys()) this.#told.set(subscriber, undefined);
    this.#options.gate.forget(this);
  }

  stop(): void {
    this.#window.stop();
    this.#options.gate.forget(this);
    this.#told.clear();
  }

  #publish(): void {
    const { state, gate, epochAt } = this.#options;
    const revision = Math.max(this.#index.revision, this.#floor);
    const base = this.#published;
    if (base !== undefined && revision <= base.epoch.revision) return;
    if (state.revision < revision) {
      gate.wait(this, revision, () => {
        this.#publish();
      });
      return;
    }
    const ports = this.#index.ports();
    const epoch = epochAt(revision);
    if (base === undefined) {
      this.#published = { epoch, ports, full: undefined };
      for (const subscriber of this.#told.keys()) this.pump(subscriber);
      return;
    }
    const delta = routeDelta(base.epoch, epoch, base.ports, ports);
    // A new name for the same table is worth a message only to somebody who waits for its acknowledgement, or is ahead of it.
    if (changesNothing(delta) && this.#index.draining.size === 0 && this.#floor <= base.epoch.revision) return;
    this.#published = { epoch, ports, full: undefined };
    if (this.#told.size > 0)
      this.#sendDelta(ManagerMessage.encode({ message: { case: 'routeDelta', value: delta } }), base.epoch.revision, revision);
  }

  #sendDelta(message: Uint8Array, base: Revision, result: Revision): void {
    for (const [subscriber, told] of this.#told) {
      if (subscriber.congested()) continue;
      if (told === base) {
        this.#told.set(subscriber, result);
        subscriber.sendRoutes(message, result);
      } else {
        this.pump(subscriber);
      }
    }
  }
}
