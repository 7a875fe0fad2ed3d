// Takes tables and deltas in, and brings each accepted table through its three steps in this order: on disk, in use, acknowledged.
// What arrives while one is being written is folded into the next write, so a burst costs two writes and holds two tables.
import { type Backoff, backoff } from '../../lib/backoff.ts';
import { type Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { type Rng } from '../../lib/rng.ts';
import { type Epoch, type RouteTable, type RouteTableDelta } from '../../proto/index.ts';
import { describeEpoch } from './epoch.ts';
import { applyDelta, applyTable, type Outcome, type Table } from './table.ts';

export interface KeeperOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly save: (table: Table) => Promise<void>;
  /** Resolves when the listeners have been told and every new one is open or has a problem. */
  readonly serve: (table: Table) => Promise<void>;
  readonly acknowledge: (epoch: Epoch) => void;
  readonly needFull: (epoch: Epoch | undefined) => void;
  readonly fail: (error: ShoalError) => void;
  /** The last good table, which `serve` has already; undefined: none. */
  readonly initial: Table | undefined;
}

const SAVE_RETRY = { baseMs: 200, capMs: 10_000 };

export class TableKeeper {
  readonly #options: KeeperOptions;
  readonly #retry: Backoff;
  #stopped = false;
  /** Accepted last: what the next delta stands on. */
  #accepted: Table | undefined;
  /** On disk and in use. */
  #acknowledged: Table | undefined;
  #serving: Table | undefined;
  #clusterId: string;
  #running: Promise<void> | undefined;
  /** Cuts the wait before the next attempt to save short: a newer table came, or the end. */
  #wake: (() => void) | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#retry = backoff(SAVE_RETRY, options.rng);
    this.#accepted = this.#acknowledged = this.#serving = options.initial;
    this.#clusterId = options.initial?.epoch.clusterId ?? '';
  }

  /** Of the table in use. */
  get epoch(): Epoch | undefined {
    return this.#serving?.epoch;
  }

  /** Of the table that is in use and on disk: what an agent may take as acknowledged. */
  get acknowledgedEpoch(): Epoch | undefined {
    return this.#acknowledged?.epoch;
  }

  /** Throws `permission_denied` where this mesh already serves another cluster. "" says nothing. */
  joinCluster(clusterId: string): void {
    if (clusterId === '') return;
    if (this.#clusterId !== '' && this.#clusterId !== clusterId) {
      throw new ShoalError(
        'permission_denied',
        `this mesh serves cluster ${this.#clusterId}, not ${clusterId}; a node that changed clusters needs an empty data directory`,
      );
    }
    this.#clusterId = clusterId;
  }

  receiveTable(message: RouteTable): void {
    this.#take(applyTable(this.#accepted, message, this.#clusterId));
  }

  receiveDelta(delta: RouteTableDelta): void {
    this.#take(applyDelta(this.#accepted, delta, this.#clusterId));
  }

  /** Takes nothing more; resolves when the step under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    await this.#running;
  }

  #take(outcome: Outcome): void {
    if (this.#stopped) return;
    switch (outcome.kind) {
      case 'unchanged':
        // One still on its way to the disk is acknowledged when it is there.
        if (this.#accepted === this.#acknowledged && this.#acknowledged !== undefined) {
          this.#options.acknowledge(this.#acknowledged.epoch);
        }
        return;
      case 'gap':
        this.#options.needFull(this.#accepted?.epoch);
        return;
      case 'refused':
        this.#options.fail(outcome.error);
        return;
      case 'changed':
        this.#accepted = outcome.table;
        this.#clusterId = outcome.table.epoch.clusterId;
        this.#wake?.();
        this.#running ??= this.#run().finally(() => {
          this.#running = undefined;
        });
    }
  }

  async #run(): Promise<void> {
    while (this.#accepted !== undefined && this.#accepted !== this.#acknowledged && !this.#stopped) {
      const table = this.#accepted;
      const saved = await this.#save(table);
      if (this.#serving !== table) {
        await this.#options.serve(table);
        this.#serving = table;
      }
      if (saved) {
        this.#acknowledged = table;
        this.#options.acknowledge(table.epoch);
      } else {
        await this.#pause(table);
      }
    }
  }

  /** Until it is time to save `table` again, or there is a newer one. */
  async #pause(table: Table): Promise<void> {
    if (this.#stopped || this.#accepted !== table) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(this.#retry.nextMs(), resolve, true);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }

  /**
   * False where it could not be saved. Such a table is served all the same, because an old one sends traffic to tasks that are gone,
   * but it is not acknowledged: a mesh that restarts would go back behind it.
   */
  async #save(table: Table): Promise<boolean> {
    try {
      await this.#options.save(table);
      this.#retry.reset();
      return true;
    } catch (error) {
      const cause = ShoalError.from(error);
      const message = `the route table of ${describeEpoch(table.epoch)} is in use but not acknowledged, because it is not on disk: ${cause.message}; trying again`;
      this.#options.fail(new ShoalError(cause.code, message, { cause }));
      return false;
    }
  }
}
