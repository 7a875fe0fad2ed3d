// Lanes make writes exactly-once. A lane is a key that every transaction sent on it compares (with the mod revision that the last one
// on the lane left) and rewrites; one transaction uses it at a time. So of all copies of a transaction only one can take effect, and a
// later copy finds in the lane what became of the first.
// The lane keys hang on a lease of this client and are written with it: once that lease is gone, etcd refuses every copy that is
// still on its way, so a new set of lanes can never meet an old write.
import { type Clock, withDeadline } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import type { HeldLease } from '../held-lease.ts';
import type { LeaseId, Revision } from '../store.ts';
import { cancelled } from './cluster.ts';
import type { KeySpace } from './keys.ts';

export interface Lane {
  readonly key: Buffer;
  readonly set: LaneSet;
  /** Mod revision of the key as the last transaction on it left it; 0: not written yet. */
  known: Revision;
}

export interface LaneSet {
  readonly leaseId: LeaseId;
  readonly lost: AbortSignal;
  readonly free: Lane[];
}

export interface LanesOptions {
  readonly keys: KeySpace;
  readonly clock: Clock;
  /** A lease that every lane key of a set hangs on. */
  readonly grant: (ttlMs: number) => Promise<HeldLease>;
}

/** Writes in flight at a time; more gain nothing in etcd, which puts them in one order anyway. */
const LANES = 32;
const MAX_WAITING = 4096;
/** Left-over lane keys of a process that died are gone after this. */
const LEASE_TTL_MS = 60_000;

export class Lanes {
  readonly #options: LanesOptions;
  readonly #waiting = new Set<() => void>();
  #inUse = 0;
  #set: (LaneSet & { readonly lease: HeldLease }) | undefined;
  #opening: Promise<LaneSet> | undefined;

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** Waits for a lane until `endMs` of the clock. Every lane taken must be released. */
  async take(endMs: number, signal: AbortSignal | undefined): Promise<Lane> {
    if (this.#inUse >= LANES) await this.#wait(endMs, signal);
    else this.#inUse += 1;
    try {
      const { clock } = this.#options;
      // Others wait for the same lease: one that gives up does not end it for them.
      const set = await withDeadline(clock, Math.ceil(endMs - clock.nowMs()), 'commit', () => this.#currentSet(), signal);
      const lane = set.free.pop();
      if (lane === undefined) throw new ShoalError('internal', 'commit: more lanes in use than there are');
      return lane;
    } catch (error) {
      this.#pass();
      throw error;
    }
  }

  release(lane: Lane): void {
    lane.set.free.push(lane);
    this.#pass();
  }

  /** The lease of this set was found to be gone. */
  discard(set: LaneSet): void {
    if (this.#set?.leaseId !== set.leaseId) return;
    this.#set.lease.abandon();
    this.#set = undefined;
  }

  close(): void {
    this.#set?.lease.abandon();
    this.#set = undefined;
  }

  /** Hands the place on to the longest waiting. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#inUse -= 1;
    else next();
  }

  #wait(endMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#options;
    if (this.#waiting.size >= MAX_WAITING) {
      throw new ShoalError('unavailable', `commit: ${MAX_WAITING} writes wait for etcd already; nothing was written, try again later`);
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(enter);
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
      };
      const enter = (): void => {
        leave();
        resolve();
      };
      const onAbort = (): void => {
        leave();
        if (signal !== undefined) reject(cancelled('commit', signal));
      };
      const timer = clock.after(endMs - clock.nowMs(), () => {
        leave();
        reject(new ShoalError('deadline_exceeded', 'commit: waited too long behind other writes to etcd; nothing was written'));
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(enter);
    });
  }

  async #currentSet(): Promise<LaneSet> {
    if (this.#set !== undefined && !this.#set.lost.aborted) return this.#set;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<LaneSet> {
    const { keys, grant } = this.#options;
    const lease = await grant(LEASE_TTL_MS);
    // etcd never gives one lease id out twice, so it serves as the client's id.
    const set = { leaseId: lease.id, lost: lease.lost, lease, free: [] as Lane[] };
    for (let number = 0; number < LANES; number++) set.free.push({ key: keys.lane(lease.id, number), set, known: 0 });
    this.#set = set;
    return set;
  }
}
