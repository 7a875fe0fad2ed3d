// A Store over a LocalServer: what a holder sees of it. Several may share one server, as several managers share one etcd.
import { anySignal } from '../../../lib/any-signal.ts';
import type { Clock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Rng } from '../../../lib/rng.ts';
import { type HeldLease, holdLease } from '../held-lease.ts';
import { checkTransaction, STORE_LIMITS } from '../limits.ts';
import type { Store } from '../store.ts';
import type { LocalServer } from './server.ts';
import { watchEngine } from './watch.ts';

export type Exchange = 'snapshot' | 'commit' | 'lease' | 'renew' | 'revoke' | 'compact';

/**
 * Stands between the store and its server, for simulated networks: may delay, refuse, or lose the answer. Calls `exchange` at most
 * once. For commit it must reject with the codes that `Store` promises (`outcome_unknown` when the answer was lost).
 */
export type Link = <T>(what: Exchange, exchange: () => Promise<T>) => Promise<T>;

export interface LocalStoreOptions {
  readonly server: LocalServer;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly link?: Link;
  /** After the store's own end. */
  readonly onClose?: () => Promise<void>;
}

const direct: Link = (_what, exchange) => exchange();

export function openLocalStore(options: LocalStoreOptions): Store {
  const { server, clock, rng, log, link = direct } = options;
  const leases = new Set<HeldLease>();
  const ended = new AbortController();
  let closing: Promise<void> | undefined;

  const call = <T>(what: Exchange, exchange: () => Promise<T>): Promise<T> => {
    if (ended.signal.aborted) return Promise.reject(new ShoalError('unavailable', `${what}: the store is closed`));
    return link(what, exchange);
  };

  return {
    driver: 'embedded',
    limits: STORE_LIMITS,
    snapshot: (prefix) => call('snapshot', () => Promise.resolve({ revision: server.engine.revision, items: server.engine.list(prefix) })),
    watch: (prefix, fromRevision, signal) => watchEngine(server, prefix, fromRevision, anySignal([signal, ended.signal])),
    async commit(transaction, signal) {
      checkTransaction(transaction);
      return call('commit', () => server.request('commit', (stage) => stage.commit(transaction), signal));
    },
    async lease(ttlMs, signal) {
      if (!(ttlMs > 0)) throw new ShoalError('invalid_argument', `lease: a TTL of ${ttlMs} ms; it must be above 0`);
      const grantedMs = clock.nowMs();
      const id = await call('lease', () => server.grant(ttlMs, signal));
      const lease = holdLease({
        clock,
        rng,
        log,
        id,
        ttlMs,
        grantedMs,
        renew: () => call('renew', () => Promise.resolve(server.renew(id))),
        revoke: () => call('revoke', () => server.revoke(id)),
      });
      leases.add(lease);
      lease.lost.addEventListener('abort', () => leases.delete(lease), { once: true });
      return lease;
    },
    compact: (revision) =>
      call('compact', () => {
        if (revision > server.engine.revision) {
          throw new ShoalError('invalid_argument', `compact: revision ${revision} is not there yet (now ${server.engine.revision})`);
        }
        server.engine.history.compact(revision);
        server.wakeWatchers();
        return Promise.resolve();
      }),
    reachable: () => server.healthy,
    close() {
      closing ??= (async () => {
        ended.abort();
        for (const lease of [...leases]) lease.abandon();
        await options.onClose?.();
      })();
      return closing;
    },
  };
}
