// The store as each manager sees it: one server (the product's own in-memory engine, which stands for etcd), and between it and each manager the simulated
// network, with delays, cuts, lost answers and refusals.
import type { Timer } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import type { Rng } from '../../../lib/rng.ts';
import type { LocalServer } from '../../../manager/store/local/server.ts';
import { createMemoryServer, type Exchange, openMemoryStore } from '../../../manager/store/memory.ts';
import type { CommitResult, Revision, Store, Transaction, WatchMessage } from '../../../manager/store/store.ts';
import type { Network } from '../core/network.ts';
import { never, type SimProcess } from '../core/process.ts';
import { chance } from '../core/random.ts';
import type { Scheduler } from '../core/scheduler.ts';

export interface StoreFaults {
  /** It answers nobody. */
  down: boolean;
  /** Chance that a request fails before anything happened. */
  failing: number;
  /** Chance that the answer to a request is lost. */
  losing: number;
  /** Writes are refused: no space. */
  full: boolean;
  /** Hosts that hear of changes late, while all they ask is answered in time. */
  readonly lateWatches: Set<string>;
}

export interface SimStore {
  readonly server: LocalServer;
  readonly faults: StoreFaults;
  open(process: SimProcess): Store;
  /** Drops the history that is not needed to read the present state. */
  compact(): void;
}

export interface SimStoreOptions {
  readonly scheduler: Scheduler;
  readonly network: Network;
  /** The store's own process, on its own host. */
  readonly process: SimProcess;
  readonly rng: Rng;
  /** Before the server compares it, in the state that it is compared with; what is returned is called with the revision, if it is committed. */
  readonly onCommit: (by: SimProcess, transaction: Transaction) => (revision: Revision) => void;
}

/** As the etcd driver: five seconds with all attempts, each of which is sent again when no answer came for a while. */
const DEADLINE_MS = 5000;
const ATTEMPT_MS = 1500;

export function simStore(options: SimStoreOptions): SimStore {
  const { scheduler, network, process: storeProcess, rng } = options;
  const server = createMemoryServer({ clock: storeProcess.clock });
  const faults: StoreFaults = { down: false, failing: 0, losing: 0, full: false, lateWatches: new Set() };

  const open = (process: SimProcess): Store => {
    let reachable = true;
    /** What the exchange that begins now is about. */
    let next: Transaction | undefined;
    const hop = (from: SimProcess, to: SimProcess): Promise<void> =>
      new Promise((resolve) => {
        network.send(network.channel(from, to), resolve);
      });
    /** Sends it until one of the copies is answered; rejects after the driver's deadline with what is known then. */
    const within = <T>(what: Exchange, attempt: (sent: { already: boolean }) => Promise<T>): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        const sent = { already: false };
        const timers: Timer[] = [];
        const settle = (isReachable: boolean, done: () => void): void => {
          for (const timer of timers) timer.cancel();
          reachable = isReachable;
          done();
        };
        const send = (): void => {
          attempt(sent).then(
            (value) => {
              settle(true, () => {
                resolve(value);
              });
            },
            (error: unknown) => {
              settle(reachable, () => {
                reject(ShoalError.from(error));
              });
            },
          );
        };
        timers.push(
          process.clock.after(DEADLINE_MS, () => {
            settle(false, () => {
              reject(unanswered(what, sent.already));
            });
          }),
        );
        for (let ms = ATTEMPT_MS; ms < DEADLINE_MS; ms += ATTEMPT_MS) timers.push(process.clock.after(ms, send));
        send();
      });
    const link = async <T>(what: Exchange, exchange: () => Promise<T>): Promise<T> => {
      const transaction = next;
      process.point('store', what);
      if (!process.alive) return never();
      if (faults.down) {
        reachable = false;
        await hop(process, process);
        throw new ShoalError('unavailable', `${what}: the store does not answer`);
      }
      const carryOut = async (): Promise<T> => {
        const noted = transaction === undefined ? undefined : options.onCommit(process, transaction);
        const value = await exchange();
        const { committed, revision } = value as Partial<CommitResult>;
        if (committed === true && revision !== undefined) noted?.(revision);
        return value;
      };
      /** What became of it when it first arrived: the copies that are sent later carry the same operation number. */
      let outcome: Promise<T> | undefined;
      return within(what, async (sent) => {
        const isDoubtful = sent.already;
        await hop(process, storeProcess);
        if (faults.down) return never();
        if (chance(rng, faults.failing)) {
          await hop(storeProcess, process);
          if (isDoubtful) return never();
          throw new ShoalError('unavailable', `${what}: the store failed it; nothing happened`);
        }
        if (faults.full && what === 'commit' && outcome === undefined) {
          await hop(storeProcess, process);
          throw new ShoalError('resource_exhausted', 'commit: the store has no space');
        }
        sent.already = true;
        outcome ??= carryOut();
        const result = await outcome.then(
          (value) => ({ ok: true as const, value }),
          (error: unknown) => ({ ok: false as const, error }),
        );
        if (chance(rng, faults.losing)) return never();
        await hop(storeProcess, process);
        process.point('store', `${what} answered`);
        if (!process.alive) return never();
        if (result.ok) return result.value;
        throw result.error;
      });
    };
    const inner = openMemoryStore({ server, clock: process.clock, rng: process.rng, log: silentLogger, link });
    process.onDeath(() => {
      void inner.close();
    });
    return {
      ...inner,
      driver: 'etcd',
      reachable: () => reachable,
      commit(transaction, signal) {
        if (signal?.aborted === true) return Promise.reject(new ShoalError('cancelled', 'commit: cancelled before it was sent'));
        next = transaction;
        const committing = inner.commit(transaction);
        next = undefined;
        return signal === undefined ? committing : unlessAborted(committing, signal);
      },
      watch: (prefix, fromRevision, signal) => watch(process, inner, prefix, fromRevision, signal),
    };
  };

  async function* watch(
    process: SimProcess,
    inner: Store,
    prefix: string,
    fromRevision: Revision,
    signal: AbortSignal,
  ): AsyncGenerator<WatchMessage> {
    const channel = network.channel(storeProcess, process);
    const arrived: WatchMessage[] = [];
    let wake: () => void = () => undefined;
    const reading = { over: false };
    const read = async (): Promise<void> => {
      for await (const message of inner.watch(prefix, fromRevision, signal)) {
        while (faults.lateWatches.has(process.host.name)) await pause(process);
        network.send(channel, () => {
          process.point('store', 'watch');
          arrived.push(message);
          wake();
        });
        // While the way is cut nothing is read: the history may then be compacted behind the watch's back.
        while (faults.down || network.isCut(storeProcess.host.name, process.host.name)) await pause(process);
      }
      network.send(channel, () => {
        reading.over = true;
        wake();
      });
    };
    const pause = (who: SimProcess): Promise<void> =>
      new Promise((resolve) => {
        scheduler.after(who, 50, resolve);
      });
    void read();
    signal.addEventListener('abort', () => {
      reading.over = true;
      wake();
    });
    while (!signal.aborted && process.alive) {
      const message = arrived.shift();
      if (message !== undefined) {
        yield message;
        continue;
      }
      if (reading.over) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    server,
    faults,
    open,
    compact() {
      server.engine.history.compact(server.engine.revision);
      server.wakeWatchers();
    },
  };
}

function unanswered(what: Exchange, wasSent: boolean): ShoalError {
  if (what === 'commit' && wasSent) return new ShoalError('outcome_unknown', 'commit: the answer was lost; read back before you repeat it');
  return new ShoalError('deadline_exceeded', `${what}: the store did not answer within ${DEADLINE_MS / 1000} s`);
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(new ShoalError('outcome_unknown', 'commit: cancelled after it was sent'));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}
