// The leader's loop: changes mark services dirty; dirty services are reconciled, their waiting tasks placed, and the result is committed
// in fenced transactions, many at once. A service is not looked at again before its own commits are in the state.
import { type Clock, sleep, type Timer } from '../../lib/clock.ts';
import { type BalanceSource, reconcileService } from '../orchestrator/index.ts';
import type { WriteGroup } from '../orchestrator/plan.ts';
import { betterPlace, findsPlace, fitsInPlaceOf } from '../scheduler/index.ts';
import { type ClusterState, commitTo } from '../state/index.ts';
import { type BatchResult, Committer } from './committer.ts';
import { DirtyServices } from './dirty-services.ts';
import { EventRing } from './event-ring.ts';
import { recordFailures } from './failure-record.ts';
import { FirstSeenTimes } from './first-seen.ts';
import { InventoryFeed } from './inventory-feed.ts';
import type { LeadOptions } from './leadership.ts';
import { NodeCalm } from './node-calm.ts';
import { NodeWatchKeeper } from './node-watch-keeper.ts';
import { placeWaiting } from './placer.ts';
import { ServiceRests } from './service-rests.ts';

/** Reconciling gives way to heartbeats and watches at least this often. */
const YIELD_MS = 50;
/** Placed and sent together: placing does not give way. */
const SLICE_GROUPS = 5000;
/** After a failed commit, so that a store that is down is not asked in a tight loop. */
const RETRY_MS = 500;
/** After a conflict: usually the watch brings the cause, and with it the next look, earlier. */
const CONFLICT_RETRY_MS = 50;

/** Leads until `leadership.ended`; resolves when nothing of it is under way any more. */
export async function runLeaderLoop(options: LeadOptions): Promise<void> {
  const loop = new LeaderLoop(options);
  await loop.run();
}

/** Part of one pass. */
interface Slice {
  readonly services: string[];
  readonly groups: WriteGroup[];
}

class LeaderLoop {
  readonly #options: LeadOptions;
  readonly #dirty: DirtyServices;
  readonly #feed: InventoryFeed;
  readonly #ring: EventRing;
  readonly #seen: FirstSeenTimes;
  readonly #committer: Committer;
  readonly #nodeWatch: NodeWatchKeeper;
  readonly #calm: NodeCalm;
  readonly #busy = new Set<string>();
  readonly #rests: ServiceRests;
  readonly #timers = new Map<string, Timer>();
  readonly #underWay = new Set<Promise<void>>();
  #trimming = false;
  #wake: (() => void) | undefined;

  constructor(options: LeadOptions) {
    const { state, clock } = options;
    this.#options = options;
    this.#dirty = new DirtyServices(state);
    this.#feed = new InventoryFeed(state, clock);
    this.#ring = new EventRing(state);
    this.#seen = new FirstSeenTimes(clock);
    this.#calm = new NodeCalm(clock);
    this.#committer = new Committer(options);
    this.#rests = new ServiceRests(clock, () => {
      this.#wakeUp();
    });
    this.#nodeWatch = new NodeWatchKeeper(options, this.#committer, () => {
      this.#wakeUp();
    });
  }

  async run(): Promise<void> {
    const { state, leadership } = this.#options;
    const unsubscribe = state.subscribe((changes) => {
      this.#nodeWatch.note(changes);
      this.#feed.note(changes);
      this.#calm.note(changes);
      this.#ring.note(changes);
      this.#dirty.note(changes);
      this.#wakeUp();
    });
    const onEnd = (): void => {
      this.#wakeUp();
    };
    leadership.ended.addEventListener('abort', onEnd);
    try {
      while (!leadership.ended.aborted) {
        await this.#pass();
        if (!this.#canWork()) await this.#sleep();
      }
    } finally {
      unsubscribe();
      leadership.ended.removeEventListener('abort', onEnd);
      for (const timer of this.#timers.values()) timer.cancel();
      this.#nodeWatch.stop();
      this.#rests.stop();
      await Promise.all(this.#underWay);
    }
  }

  async #pass(): Promise<void> {
    const { state, clock } = this.#options;
    this.#trimEvents();
    // Before anything else: whether a node's tasks are replaced depends on it.
    if (!(await this.#nodeWatch.settle())) return;
    const services = this.#dirty.take((id) => this.#mayNotBeTaken(id));
    if (services.length === 0) return;
    let slice: Slice = { services: [], groups: [] };
    let startedMs = clock.nowMs();
    for (const serviceId of services) {
      slice.services.push(serviceId);
      slice.groups.push(...this.#reconcile(serviceId));
      if (clock.nowMs() - startedMs < YIELD_MS && slice.groups.length < SLICE_GROUPS) continue;
      this.#settle(slice, state, clock);
      slice = { services: [], groups: [] };
      // A turn of the event loop, by the injected clock.
      await sleep(clock, 0);
      if (this.#options.leadership.ended.aborted) return;
      startedMs = clock.nowMs();
    }
    this.#settle(slice, state, clock);
  }

  #settle({ services, groups }: Slice, state: ClusterState, clock: Clock): void {
    const recorded = recordFailures(groups, services, state, this.#feed.inventory, clock.nowMs());
    const placed = placeWaiting(recorded, services, state, this.#feed, clock);
    if (placed.groups.length > 0) this.#commit(placed.groups, placed.assumed);
  }

  #reconcile(serviceId: string): readonly WriteGroup[] {
    const { state, clock, ids } = this.#options;
    this.#timers.get(serviceId)?.cancel();
    this.#timers.delete(serviceId);
    this.#seen.begin();
    const nowMs = clock.nowMs();
    const { calmMs, calmNumber } = this.#calm;
    const balance: BalanceSource = { betterPlace: (asked) => betterPlace(this.#feed.inventory, asked, nowMs), calmMs, calmNumber };
    const plan = reconcileService(state, serviceId, {
      nowMs,
      wallMs: clock.wallMs(),
      ids,
      seen: this.#seen,
      fitsInPlaceOf: (taskId, spec) => fitsInPlaceOf(this.#feed.inventory, taskId, spec),
      findsPlace: (next) => findsPlace(this.#feed.inventory, next, nowMs),
      balance,
    });
    this.#seen.end(serviceId);
    this.#rests.begin(serviceId, state.taskCountOfService(serviceId));
    if (plan.wakeInMs !== undefined) this.#wakeLater(serviceId, plan.wakeInMs);
    return plan.groups;
  }

  /** Sends the groups without waiting for them; their services are busy until then. */
  #commit(groups: readonly WriteGroup[], assumed: readonly string[]): void {
    const services = new Set(groups.map((group) => group.serviceId));
    for (const id of services) this.#busy.add(id);
    const done = this.#committer
      .commit(groups, (result) => {
        this.#noteResult(result);
      })
      .then(() => {
        for (const id of services) this.#busy.delete(id);
        for (const taskId of assumed) this.#feed.feedTask(taskId);
        this.#underWay.delete(done);
        this.#wakeUp();
      });
    this.#underWay.add(done);
  }

  #noteResult({ groups, committed, error }: BatchResult): void {
    if (committed) return;
    const services = new Set(groups.map((group) => group.serviceId));
    if (error === undefined) {
      for (const id of services) this.#wakeLater(id, CONFLICT_RETRY_MS);
      return;
    }
    if (!this.#options.leadership.ended.aborted)
      this.#options.log.warn('a commit failed and is made again', { reason: error.message, code: error.code });
    for (const id of services) this.#wakeLater(id, RETRY_MS);
  }

  #wakeLater(serviceId: string, delayMs: number): void {
    this.#timers.get(serviceId)?.cancel();
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(serviceId);
      this.#dirty.mark(serviceId);
      this.#wakeUp();
    });
    this.#timers.set(serviceId, timer);
  }

  #trimEvents(): void {
    const { store, state, leadership, log } = this.#options;
    const builder = this.#trimming ? undefined : this.#ring.trim();
    if (builder === undefined || leadership.ended.aborted) return;
    this.#trimming = true;
    const done = commitTo(store, state, leadership.fence(builder), leadership.ended)
      .then(
        () => undefined,
        (error: unknown) => {
          log.debug('trimming events failed; it is tried again', { error });
        },
      )
      .then(() => {
        this.#trimming = false;
        this.#underWay.delete(done);
      });
    this.#underWay.add(done);
  }

  #canWork(): boolean {
    return this.#nodeWatch.isDue || this.#dirty.hasWork((id) => this.#mayNotBeTaken(id));
  }

  #mayNotBeTaken(serviceId: string): boolean {
    return this.#busy.has(serviceId) || this.#rests.has(serviceId);
  }

  #wakeUp(): void {
    this.#wake?.();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      if (this.#options.leadership.ended.aborted || this.#canWork()) this.#wake();
    });
  }
}
