// The holder's side of a lease, the same for every driver: renews at a third of the TTL and ends it by its own reckoning, on the
// monotonic clock, before the store can have ended it.
import { backoff } from '../../lib/backoff.ts';
import { type Clock, sleep, withDeadline } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { Lease, LeaseId } from './store.ts';

export interface HeldLeaseOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly id: LeaseId;
  readonly ttlMs: number;
  /** When the request that granted the lease was sent. */
  readonly grantedMs: number;
  /** One attempt. False: the store says that the lease is gone. Rejects where nothing is known; it is tried again then. */
  readonly renew: (signal: AbortSignal) => Promise<boolean>;
  readonly revoke: () => Promise<void>;
}

export interface HeldLease extends Lease {
  /** Stops renewing without revoking; `lost` aborts. */
  abandon(): void;
}

const MAX_MARGIN_MS = 1000;
const ATTEMPT_MS = 1500;
const REVOKE_MS = 2000;

/** What the holder keeps free at the end of a TTL: a fifth, at most one second. */
export function leaseMarginMs(ttlMs: number): number {
  return Math.min(MAX_MARGIN_MS, ttlMs / 5);
}

export function holdLease(options: HeldLeaseOptions): HeldLease {
  const { clock, rng, log, id, ttlMs } = options;
  const lost = new AbortController();
  let deadlineMs = options.grantedMs + ttlMs - leaseMarginMs(ttlMs);
  let renewAtMs = options.grantedMs + ttlMs / 3;

  const lose = (why: string): void => {
    if (lost.signal.aborted) return;
    watchdog.cancel();
    lost.abort(new Error(`lease ${id}: ${why}`));
  };
  /** Also asked before each renewal: after a stall of the process that one may run first, and must not revive the lease. */
  const isOver = (): boolean => {
    if (!lost.signal.aborted && clock.nowMs() >= deadlineMs) lose('not renewed in time');
    return lost.signal.aborted;
  };
  const watch = (): void => {
    if (!isOver()) watchdog = clock.after(deadlineMs - clock.nowMs(), watch);
  };
  let watchdog = clock.after(deadlineMs - clock.nowMs(), watch);

  const renewOnce = async (): Promise<void> => {
    const sentMs = clock.nowMs();
    const attemptMs = Math.min(ATTEMPT_MS, deadlineMs - sentMs);
    const alive = await withDeadline(clock, attemptMs, `renewing lease ${id}`, options.renew, lost.signal);
    if (isOver()) return;
    if (!alive) {
      lose('the store says that it is gone');
      return;
    }
    deadlineMs = sentMs + ttlMs - leaseMarginMs(ttlMs);
    renewAtMs = sentMs + ttlMs / 3;
  };

  const keep = async (): Promise<void> => {
    const retry = backoff({ baseMs: 50, capMs: 500 }, rng);
    while (!isOver()) {
      try {
        await sleep(clock, renewAtMs - clock.nowMs(), lost.signal);
        if (isOver()) return;
        await renewOnce();
        retry.reset();
      } catch (error) {
        if (isOver()) return;
        log.debug('a lease was not renewed; trying again', { lease: id, error: messageOf(error) });
        renewAtMs = clock.nowMs() + retry.nextMs();
      }
    }
  };
  void keep();

  return {
    id,
    get deadlineMs() {
      return deadlineMs;
    },
    lost: lost.signal,
    async revoke() {
      lose('revoked');
      try {
        await withDeadline(clock, REVOKE_MS, `revoking lease ${id}`, options.revoke);
      } catch (error) {
        log.debug('a lease was not revoked; it will expire', { lease: id, error: messageOf(error) });
      }
    },
    abandon() {
      lose('the store was closed');
    },
  };
}
