// The manager's process: its folder, its health server and its store, and the manager over them.
import { backoff } from '../lib/backoff.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import { lockFolder } from '../lib/folder-lock.ts';
import { metrics, startHealthServer } from '../lib/health-server.ts';
import { systemIds } from '../lib/ids.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { managerId } from './manager-identity.ts';
import { serveManager } from './manager.ts';
import type { ManagerOptions } from './options.ts';
import { openStore } from './store/index.ts';
import type { Store } from './store/store.ts';

const base = { clock: systemClock, rng: systemRng, ids: systemIds };
/** One attempt to reach etcd at the start; short, so that `/readyz` says how it stands. */
const STORE_START_MS = 3000;
const STORE_RETRY = { baseMs: 200, capMs: 2000 };

/** Resolves when the manager has ended, after `signal`. Throws what kept it from starting. */
export async function runManager(options: ManagerOptions, signal: AbortSignal): Promise<void> {
  const log = createLogger({ role: 'manager', level: options.logLevel, format: options.logFormat });
  const unlock = lockFolder(options.dataDir, 'a manager');
  let trouble = (): string | undefined => 'starting';
  try {
    const health = options.health && (await startHealthServer({ ...options.health, ready: () => trouble() }));
    try {
      const store = await storeWhenThere(options, log, signal, (why) => {
        trouble = () => why;
      });
      try {
        trouble = () => 'the state is being read from the store';
        await serveManager(
          {
            ...{ ...base, store, log, metrics, managerId: managerId(options.dataDir, base.ids) },
            ...{ listen: options.listen, advertise: options.advertise, insecureRegistries: options.insecureRegistries },
            onServing: () => {
              trouble = () => (store.reachable() ? undefined : 'the store is unreachable');
            },
          },
          signal,
        );
      } finally {
        await store.close();
      }
    } finally {
      await health?.stop();
    }
  } catch (error) {
    // Asked to stop while it was starting: it has.
    if (!(signal.aborted && ShoalError.from(error).code === 'cancelled')) throw error;
  } finally {
    unlock();
  }
}

/** An etcd that does not answer is waited for: after a power cut, who comes up first is chance. */
async function storeWhenThere(options: ManagerOptions, log: Logger, signal: AbortSignal, report: (why: string) => void): Promise<Store> {
  const { etcdEndpoints: endpoints, etcdPrefix: prefix, storeDir: directory } = options;
  if (endpoints.length === 0) return await openStore({ driver: 'embedded', directory, ...base, log });
  const retry = backoff(STORE_RETRY, base.rng);
  report(`waiting for etcd at ${endpoints.join(', ')}`);
  for (;;) {
    try {
      return await unlessStopped(openStore({ driver: 'etcd', endpoints, prefix, startMs: STORE_START_MS, ...base, log }), signal);
    } catch (error) {
      const known = ShoalError.from(error);
      if (!known.retryable) throw known;
      log.warn('etcd does not answer; waiting for it', { endpoints, reason: known.message });
      report(`waiting for etcd at ${endpoints.join(', ')}: ${known.message}`);
      await sleep(base.clock, retry.nextMs(), signal);
    }
  }
}

/** Rejects with `cancelled` when the signal aborts; a store that opens later is closed again. */
async function unlessStopped(opening: Promise<Store>, signal: AbortSignal): Promise<Store> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new ShoalError('cancelled', 'stopped before the store answered'));
  });
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([opening, stopped]);
  } catch (error) {
    void opening.then(
      (store) => store.close(),
      () => undefined,
    );
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
