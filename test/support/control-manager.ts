// A manager's control API alone: real gRPC on a free port of 127.0.0.1 over a memory store, with a store that can be made to fail or lag.
import { credentials, Metadata, ServerCredentials } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { type Ids, systemIds } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRng } from '../../lib/rng.ts';
import { type ClientOf, connect, createServer } from '../../lib/rpc/index.ts';
import { createControlApi, type ImageResolver } from '../../manager/api/index.ts';
import type { TaskStreams } from '../../manager/dispatcher/task-streams.ts';
import { ClusterState, followStore } from '../../manager/state/index.ts';
import { createMemoryServer, openMemoryStore } from '../../manager/store/memory.ts';
import type { CommitResult, Store } from '../../manager/store/store.ts';
import { ControlService } from '../../proto/index.ts';

export type MemoryServer = ReturnType<typeof createMemoryServer>;
/** refuse: certainly nothing happens; lose: it happens, and nobody hears of it; hang: no answer ever. */
export type StoreFault = 'none' | 'refuse' | 'lose' | 'hang';

export interface ControlManager {
  readonly client: ClientOf<typeof ControlService>;
  /** host:port */
  readonly address: string;
  readonly state: ClusterState;
  /** Without faults; for writing what other parts would write. */
  readonly store: Store;
  fault: StoreFault;
  /** Transactions that the API has sent. */
  readonly commits: number;
  /** While set, the watch brings nothing. */
  setLagging(lagging: boolean): void;
  stop(): Promise<void>;
}

export interface ControlManagerOptions {
  readonly server?: MemoryServer;
  readonly taskStreams?: TaskStreams;
  readonly registry?: ImageResolver;
  readonly ids?: Ids;
  readonly clock?: Clock;
}

const NO_STREAMS: TaskStreams = {
  open: () => Promise.reject(new ShoalError('unavailable', 'no agents in this test')),
};
const NO_REGISTRY: ImageResolver = {
  resolve: () => Promise.reject(new ShoalError('unavailable', 'no registry in this test')),
  platforms: () => Promise.resolve([]),
};

export async function startControlManager(options: ControlManagerOptions = {}): Promise<ControlManager> {
  const { server = createMemoryServer(), taskStreams = NO_STREAMS, registry = NO_REGISTRY, ids = systemIds, clock = systemClock } = options;
  const store = openMemoryStore({ server });
  const state = new ClusterState(systemClock, silentLogger);
  const ended = new AbortController();
  const lag = lagGate();
  const faulty = faultyStore({ ...store, watch: (prefix, from, signal) => lag.delayed(store.watch(prefix, from, signal)) });
  const following = followStore({ store: faulty.store, state, clock: systemClock, rng: seededRng(1), log: silentLogger }, ended.signal);
  const rpc = createServer(silentLogger);
  const context = { store: faulty.store, state, managerId: 'manager-1', version: '0.1.0', clock, rng: seededRng(2) };
  rpc.add(ControlService, createControlApi({ ...context, ids, log: silentLogger, taskStreams, registry }));
  const port = await rpc.listen('127.0.0.1:0', ServerCredentials.createInsecure());
  const connection = connect(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    address: `127.0.0.1:${port}`,
    client: connection.client(ControlService),
    state,
    store,
    get fault() {
      return faulty.fault;
    },
    set fault(fault) {
      faulty.fault = fault;
    },
    get commits() {
      return faulty.commits;
    },
    setLagging: lag.set,
    async stop() {
      connection.close();
      await rpc.stop(0);
      lag.set(false);
      ended.abort();
      await following;
      await store.close();
    },
  };
}

/** Metadata with which a client says what it has seen. */
export function seen(revision: number): { readonly metadata: Metadata } {
  const metadata = new Metadata();
  metadata.set('shoal-revision', String(revision));
  return { metadata };
}

function faultyStore(store: Store): { readonly store: Store; fault: StoreFault; readonly commits: number } {
  const hang = new Promise<CommitResult>(() => undefined);
  const self: { store: Store; fault: StoreFault; commits: number } = { store, fault: 'none', commits: 0 };
  const refused = (): ShoalError => new ShoalError('unavailable', 'the test cut the store off');
  self.store = {
    ...store,
    reachable: () => self.fault !== 'refuse',
    snapshot: (prefix, signal) => (self.fault === 'refuse' ? Promise.reject(refused()) : store.snapshot(prefix, signal)),
    async commit(transaction, signal) {
      self.commits++;
      switch (self.fault) {
        case 'none':
          return store.commit(transaction, signal);
        case 'refuse':
          throw refused();
        case 'hang':
          return hang;
        case 'lose':
          await store.commit(transaction, signal);
          throw new ShoalError('outcome_unknown', 'the answer was lost');
      }
    },
  };
  return self;
}

interface LagGate {
  readonly set: (lagging: boolean) => void;
  delayed<T>(messages: AsyncIterable<T>): AsyncIterable<T>;
}

function lagGate(): LagGate {
  let open: Promise<unknown> = Promise.resolve();
  let release: () => void = () => undefined;
  return {
    set(lagging) {
      release();
      if (!lagging) return;
      open = new Promise((resolve) => {
        release = () => resolve(undefined);
      });
    },
    async *delayed(messages) {
      for await (const message of messages) {
        await open;
        yield message;
      }
    },
  };
}
