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

/** A task's place in a route of the present table; a task may have several. */
export interface HeldPlace {
  readonly taskId: string;
  /** `flowKey` under which it may be mapped; undefined: it cannot be. */
  readonly flow: string | undefined;
  readonly draining: boolean;
}

interface Hold {
  readonly keys: Set<string>;
  draining: boolean;
  /** Found without a connection so many times in a row. */
  quiet: number;
  released: boolean;
  /** Of the last table that named it. */
  turn: number;
}

const LOOK_MS = 250;
/** A listing of a big conntrack table may take long; it is not to take more than this share of the time, within bounds: a drain waits for it. */
const BUSY_SHARE = 0.1;
const MAX_LOOK_MS = 1000;
/** A listing is not a snapshot: an entry that moves while it is read may be missed once. */
const QUIET_LOOKS = 2;

export class Holds {
  readonly #options: HoldsOptions;
  readonly #holds = new Map<string, Hold>();
  #turn = 0;
  #mapped: () => ReadonlySet<string> = () => new Set();
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

  /** Before what is mapped changes: the places of all tasks that are to be held. Those that are no longer named are let go. */
  expect(places: Iterable<HeldPlace>): void {
    const turn = ++this.#turn;
    for (const { taskId, flow, draining } of places) {
      const hold = this.#holds.get(taskId) ?? this.#hold(taskId);
      if (flow !== undefined) hold.keys.add(flow);
      hold.draining = draining || (hold.turn === turn && hold.draining);
      hold.turn = turn;
    }
    for (const [taskId, hold] of this.#holds) {
      if (hold.turn !== turn) {
        this.#holds.delete(taskId);
        if (!hold.released) this.#options.drains.closed(taskId);
      } else if (hold.released && !hold.draining) {
        // It takes connections again.
        hold.released = false;
        hold.quiet = 0;
        this.#options.drains.opened(taskId);
      }
    }
  }

  /** The kernel maps these (`flowKey`) from now on, and no others; asked for only where some task waits to be let go. */
  mapped(keys: () => ReadonlySet<string>): void {
    this.#mapped = keys;
    this.#lookSoon(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Another process looks after the connections in the kernel from now on: nothing counts as open here any more. */
  release(): void {
    this.stop();
    const held = [...this.#holds].filter(([, { released }]) => !released);
    this.#holds.clear();
    for (const [taskId] of held) this.#options.drains.closed(taskId);
  }

  #hold(taskId: string): Hold {
    const hold = { keys: new Set<string>(), draining: false, quiet: 0, released: false, turn: 0 };
    this.#holds.set(taskId, hold);
    this.#options.drains.opened(taskId);
    return hold;
  }

  #leaving(): readonly [string, Hold][] {
    const draining = [...this.#holds].filter(([, hold]) => hold.draining && !hold.released);
    if (draining.length === 0) return [];
    const mapped = this.#mapped();
    return draining.filter(([, hold]) => [...hold.keys].every((key) => !mapped.has(key)));
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
        if (this.#stopped || !still.has(taskId)) continue;
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
    this.#lookSoon(Math.min(MAX_LOOK_MS, Math.max(LOOK_MS, (clock.nowMs() - begunMs) / BUSY_SHARE)));
  }
}
