// The engine alone, for tests, the simulator and benchmarks: nothing outlives the process.
import { type Clock, systemClock } from '../../lib/clock.ts';
import { type Logger, silentLogger } from '../../lib/log.ts';
import { type Rng, systemRng } from '../../lib/rng.ts';
import type { HistoryLimits } from './engine/history.ts';
import { Engine, EMPTY_IMAGE, DEFAULT_HISTORY } from './engine/engine.ts';
import { type Link, openLocalStore } from './local/local-store.ts';
import { LocalServer } from './local/server.ts';
import type { Store } from './store.ts';

export type { Exchange, Link } from './local/local-store.ts';

export interface MemoryStoreOptions {
  readonly clock?: Clock;
  readonly rng?: Rng;
  readonly log?: Logger;
  /** To open several stores on the same data; by default each has data of its own. */
  readonly server?: LocalServer;
  readonly link?: Link;
}

/** What several memory stores share. */
export function createMemoryServer(options: { readonly clock?: Clock; readonly history?: HistoryLimits } = {}): LocalServer {
  const engine = new Engine(EMPTY_IMAGE, options.history ?? DEFAULT_HISTORY);
  return new LocalServer({ engine, clock: options.clock ?? systemClock, log: silentLogger });
}

export function openMemoryStore(options: MemoryStoreOptions = {}): Store {
  const { clock = systemClock, rng = systemRng, log = silentLogger } = options;
  const server = options.server ?? createMemoryServer({ clock });
  return openLocalStore({
    server,
    clock,
    rng,
    log,
    ...(options.link === undefined ? {} : { link: options.link }),
    // A server of its own ends with its store.
    ...(options.server === undefined ? { onClose: () => server.close() } : {}),
  });
}
