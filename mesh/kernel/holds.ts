// Which draining tasks the kernel still has connections to. Mesh-wide counts know nothing of those, so each task of a kernel port counts as open there from
// before it can be mapped until it drains, is mapped no longer, and conntrack has been found without a connection to it.
// Where conntrack cannot be read, a task stays open for its whole drain period.
import { type Clock, type Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { type Logger } from '../../lib/log.ts';
import { type Drains } from '../drains.ts';
import { type Flows } from './flows.ts';

export interface HoldsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly drains: Pick<Drains, 'opened' | 'closed'>;
  readonly flows: Pick<Flows, 'busy'>;
}

/** A task as the present table has it. */
export interface HeldTask {
  /** `flowKey`s under which it may be mapped. */
  readonly keys: ReadonlySet<string>;
  readonly draining: boolean;
}

interface Hold {
  readonly keys: Set<string>;
  draining: boolean;
  /** Found without a connection so many times in a row. */
  quiet: number;
  released: boolean;
}

const LOOK_MS = 250;
/** A listing of a big conntrack table may take long; it is not to take more than this share of the time. */
const BUSY_SHARE = 0.1;
/** A listing is not a snapshot: an entry that moves while it is read may be missed once. */
const QUIET_LOOKS = 2;

export class Holds {
  readonly #options: HoldsOptions;
  readonly #holds = new Map<string, Hold>();
  #mapped: ReadonlySet<string> = new Set();
  #timer: Timer | undefined;
  #looking = false;
  #stopped = false;
  #unreadable = false;

  constructor(options: HoldsOptions) {
    this.#options = options;
  }

  has(taskId: string): boolean {
    return this.#holds.has(taskId);
  }

  /** Before what is mapped changes: tasks of kernel ports, by id. Those that are no longer named are let go. */
  expect(tasks: ReadonlyMap<string, HeldTask>): void {
    for (const [taskId, hold] of this.#holds) {
      if (tasks.has(taskId)) continue;
      this.#holds.delete(taskId);
      if (!hold.released) this.#options.drains.closed(taskId);
    }
    for (const [taskId, { keys, draining }] of tasks) {
      const known = this.#holds.get(taskId);
      const hold = known ?? { keys: new Set(), draining, quiet: 0, released: false };
      this.#holds.set(taskId, hold);
      for (const key of keys) hold.keys.add(key);
      hold.draining = draining;
      // One that was let go gets nothing more, unless it takes connections again.
      const isAgain = hold.released && !draining;
      if (known !== undefined && !isAgain) continue;
      hold.released = false;
      hold.quiet = 0;
      this.#options.drains.opened(taskId);
    }
  }

  /** The kernel maps these (`flowKey`) from now on, and no others. */
  mapped(keys: ReadonlySet<string>): void {
    this.#mapped = keys;
    this.#lookSoon(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #leaving(): readonly [string, Hold][] {
    return [...this.#holds].filter(([, hold]) => hold.draining && !hold.released && [...hold.keys].every((key) => !this.#mapped.has(key)));
  }

  #lookSoon(delayMs: number): void {
    if (this.#stopped || this.#looking || this.#timer !== undefined || this.#leaving().length === 0) return;
    this.#timer = this.#options.clock.after(
      delayMs,
      () => {
        this.#timer = undefined;
        void this.#look();
      },
      true,
    );
  }

  async #look(): Promise<void> {
    const { clock, flows, drains, log } = this.#options;
    const leaving = this.#leaving();
    const begunMs = clock.nowMs();
    this.#looking = true;
    try {
      const busy = await flows.busy(new Set(leaving.flatMap(([, { keys }]) => [...keys])));
      const still = new Set(this.#leaving().map(([taskId]) => taskId));
      for (const [taskId, hold] of leaving) {
        if (!still.has(taskId)) continue;
        hold.quiet = [...hold.keys].some((key) => busy.has(key)) ? 0 : hold.quiet + 1;
        if (hold.quiet < QUIET_LOOKS) continue;
        hold.released = true;
        drains.closed(taskId);
      }
      this.#unreadable = false;
    } catch (error) {
      if (!this.#unreadable) {
        log.warn('connections in the kernel cannot be counted: tasks of kernel ports drain for their whole period', {
          reason: messageOf(error),
        });
      }
      this.#unreadable = true;
    } finally {
      this.#looking = false;
    }
    this.#lookSoon(Math.max(LOOK_MS, (clock.nowMs() - begunMs) / BUSY_SHARE));
  }
}
