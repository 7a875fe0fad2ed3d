// route-acks/<manager>: what the meshes of this manager's nodes have acknowledged, told to the leader through the store, and only while a drain
// is pending. This manager alone writes the row; all that it says stays true when it is read late.
import type { AdaptiveWindow } from '../../lib/adaptive-window.ts';
import { backoff, type Backoff } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { type Epoch, type NodeRouteAck, RouteAcks } from '../../proto/index.ts';
import { type ClusterState, commitTo, TransactionBuilder } from '../state/index.ts';
import type { Store } from '../store/store.ts';

export interface RouteAckOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly managerId: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly lingerMs: number;
  readonly window: (flush: () => void) => AdaptiveWindow;
  /** Tasks that are drained and not yet told to stop. */
  readonly draining: () => ReadonlySet<string>;
}

const RETRY = { baseMs: 50, capMs: 2000 };
const CATCH_UP_MS = 2000;
/** Of one node's list; tasks beyond it are waited for until their drain period is over. */
const MAX_IDLE = 10_000;

export class RouteAckBook {
  readonly #options: RouteAckOptions;
  readonly #window: AdaptiveWindow;
  readonly #retry: Backoff;
  readonly #nodes = new Map<string, NodeRouteAck>();
  #writing = false;
  /** Reports came while it was being written. */
  #again = false;
  #linger: Timer | undefined;
  #rest: Timer | undefined;
  #stopped = false;

  constructor(options: RouteAckOptions) {
    this.#options = options;
    this.#retry = backoff(RETRY, options.rng);
    this.#window = options.window(() => {
      void this.#write();
    });
  }

  /** What a node's agent reported; `epoch` undefined: nothing acknowledged of this history. */
  report(nodeId: string, epoch: Epoch | undefined, idleTaskIds: readonly string[]): void {
    this.#nodes.set(nodeId, { nodeId, epoch, idleTaskIds: idleTaskIds.slice(0, MAX_IDLE) });
    if (this.#options.draining().size > 0) this.#window.trigger();
  }

  /** The node's session is another manager's now, or the node is gone. */
  drop(nodeId: string): void {
    if (this.#nodes.delete(nodeId) && this.#options.draining().size > 0) this.#window.trigger();
  }

  /** Tasks began or ceased to drain. */
  drainsChanged(): void {
    this.#linger?.cancel();
    this.#linger = undefined;
    if (this.#options.draining().size > 0) this.#window.trigger();
    else {
      this.#linger = this.#options.clock.after(
        this.#options.lingerMs,
        () => {
          this.#window.trigger();
        },
        true,
      );
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#window.stop();
    this.#linger?.cancel();
    this.#rest?.cancel();
  }

  /** Undefined: there shall be no row. */
  #content(): RouteAcks | undefined {
    const draining = this.#options.draining();
    if (draining.size === 0) return undefined;
    const nodes = [...this.#nodes.values()]
      .filter((node) => node.epoch !== undefined)
      .map((node) => ({ ...node, idleTaskIds: node.idleTaskIds.filter((id) => draining.has(id)).sort() }));
    return { nodes: nodes.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)) };
  }

  async #write(): Promise<void> {
    if (this.#writing) this.#again = true;
    if (this.#writing || this.#rest !== undefined || this.#stopped) return;
    this.#writing = true;
    this.#again = false;
    try {
      if (!(await this.#writeOnce())) this.#again = true;
      this.#retry.reset();
    } catch (error) {
      this.#options.log.warn('acknowledgements of routes could not be written; trying again', { reason: messageOf(error) });
      this.#rest = this.#options.clock.after(this.#retry.nextMs(), () => {
        this.#rest = undefined;
        this.#window.trigger();
      });
    } finally {
      this.#writing = false;
      // Not at once: the row names every node, and their reports come one after another.
      if (this.#again) this.#window.trigger();
    }
  }

  /** False: somebody else has written the row. */
  async #writeOnce(): Promise<boolean> {
    const { store, state, managerId } = this.#options;
    const row = state.get('routeAcks', managerId);
    const content = this.#content();
    const builder = new TransactionBuilder();
    if (content === undefined) {
      if (row === undefined) return true;
      builder.delete('routeAcks', row);
    } else {
      if (row !== undefined && Buffer.compare(RouteAcks.encode(row.value), RouteAcks.encode(content)) === 0) return true;
      builder.put('routeAcks', managerId, content, row);
    }
    const result = await commitTo(store, state, builder);
    if (!result.committed) await state.reached(result.revision, CATCH_UP_MS);
    return result.committed;
  }
}
