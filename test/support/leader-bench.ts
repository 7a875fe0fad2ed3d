// Stores on one memory server with a state that follows each, all on a manual clock; commits and the watch can be held, lost or refused.
import { ShoalError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRng } from '../../lib/rng.ts';
import { ClusterState, followStore } from '../../manager/state/index.ts';
import { createMemoryServer, openMemoryStore } from '../../manager/store/memory.ts';
import type { CommitResult, Store, Transaction } from '../../manager/store/store.ts';
import type { Leadership } from '../../manager/leader/index.ts';
import { type ManualClock, manualClock } from './manual-clock.ts';
import { settle } from './virtual-time.ts';
import { type WatchGate, watchGate } from './watch-gate.ts';

/** What becomes of one commit; `real` carries it out. */
export type CommitFault = (real: () => Promise<CommitResult>, transaction: Transaction) => Promise<CommitResult>;

export interface FollowedStore {
  readonly store: Store;
  readonly state: ClusterState;
  /** Every transaction that was given to `commit`, in order. */
  readonly sent: readonly Transaction[];
  /** Decides over each commit; undefined: carried out. */
  onCommit: CommitFault | undefined;
  /** Every call is refused from now on, renewals too; only the watch goes on. */
  cut(): void;
  holdWatch(): void;
  releaseWatch(): void;
}

export interface LeaderBench {
  readonly clock: ManualClock;
  /** Without faults and without a state, for writing what others would write. */
  readonly store: Store;
  follow(): Promise<FollowedStore>;
  stop(): Promise<void>;
}

export function leaderBench(): LeaderBench {
  const clock = manualClock(1000);
  const server = createMemoryServer({ clock });
  const ended = new AbortController();
  const following: Promise<void>[] = [];
  const gates: WatchGate[] = [];
  const plain = openMemoryStore({ server, clock, rng: seededRng(0) });
  let number = 0;
  return {
    clock,
    store: plain,
    async follow() {
      number++;
      let isCut = false;
      const inner = openMemoryStore({
        ...{ server, clock, rng: seededRng(number) },
        link: (what, exchange) => (isCut ? Promise.reject(new ShoalError('unavailable', `${what}: the test cut it off`)) : exchange()),
      });
      const gate = watchGate();
      gates.push(gate);
      const state = new ClusterState(clock, silentLogger);
      const sent: Transaction[] = [];
      const followed: FollowedStore = {
        state,
        sent,
        onCommit: undefined,
        cut: () => {
          isCut = true;
        },
        holdWatch: gate.hold,
        releaseWatch: gate.release,
        store: {
          ...inner,
          watch: (prefix, from, signal) => gate.through(inner.watch(prefix, from, signal)),
          commit(transaction, signal) {
            sent.push(transaction);
            const real = (): Promise<CommitResult> => inner.commit(transaction, signal);
            return followed.onCommit === undefined ? real() : followed.onCommit(real, transaction);
          },
        },
      };
      following.push(followStore({ store: followed.store, state, clock, rng: seededRng(100 + number), log: silentLogger }, ended.signal));
      await settle();
      return followed;
    },
    async stop() {
      ended.abort();
      for (const gate of gates) gate.release();
      await Promise.all(following);
      await plain.close();
    },
  };
}

/** Leads without an election: the fence is a leader key that is there, or none at all (0). */
export function leadershipFor(createRevision: number, ended: AbortSignal): Leadership {
  return {
    createRevision,
    ended,
    fence(builder) {
      if (ended.aborted) throw new ShoalError('failed_precondition', 'no longer the leader');
      return builder.fence('leader', '', createRevision);
    },
  };
}
