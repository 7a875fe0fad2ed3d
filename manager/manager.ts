// A manager over a store that is open: state, agent sessions, control API, and the campaign to lead, from start to end.
import type { Registry } from 'prom-client';
import { backoff } from '../lib/backoff.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import type { Ids } from '../lib/ids.ts';
import type { Logger } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { grpcTransport, type RpcTransport } from '../lib/rpc/index.ts';
import { VERSION } from '../lib/version.ts';
import { AgentSessionService, type Cluster, ControlService, ManagerLiveness, PeerService } from '../proto/index.ts';
import { createControlApi, createImageResolver, type ImageResolver } from './api/index.ts';
import { ensureCluster } from './cluster-identity.ts';
import { createDispatcher, type Dispatcher } from './dispatcher/index.ts';
import { campaign, lead } from './leader/index.ts';
import { type Address, authority } from './options.ts';
import { ClusterState, followStore } from './state/index.ts';
import type { Store } from './store/store.ts';

export interface ManagerParts {
  readonly store: Store;
  readonly managerId: string;
  readonly listen: Address;
  /** host:port that other managers and agents are told; undefined: where it listens. */
  readonly advertise: string | undefined;
  readonly insecureRegistries: readonly string[];
  readonly clock: Clock;
  readonly rng: Rng;
  readonly ids: Ids;
  readonly log: Logger;
  readonly metrics: Registry;
  /** gRPC without encryption unless given. */
  readonly transport?: RpcTransport;
  /** Asks registries over HTTP unless given. */
  readonly images?: ImageResolver;
  /** Once calls are answered, with host:port. */
  readonly onServing: (address: string) => void;
}

/** Calls under way get this long when the manager stops. */
const STOP_GRACE_MS = 2000;
const RETRY = { baseMs: 200, capMs: 2000 };

/** Resolves when the manager has ended, after `signal`. Throws what kept it from starting; a store that does not answer is waited for. */
export async function serveManager(parts: ManagerParts, signal: AbortSignal): Promise<void> {
  const { store, clock, rng, ids, log, managerId, transport = grpcTransport() } = parts;
  const ending = new AbortController();
  const state = new ClusterState(clock, log);
  const following = followStore({ store, state, clock, rng, log }, ending.signal);
  let dispatcher: Dispatcher | undefined;
  try {
    await firstSnapshot(state, signal);
    const cluster = await clusterOf(parts, state, signal);
    dispatcher = createDispatcher({
      ...{ store, state, managerId, clusterId: cluster.id, clock, rng, ids, log, registry: parts.metrics },
      connectTo: (address) => transport.connect(address),
    });
    const server = transport.serve(log);
    const registry = parts.images ?? createImageResolver({ clock, insecureRegistries: parts.insecureRegistries });
    const { taskStreams } = dispatcher;
    server.add(
      ControlService,
      createControlApi({ store, state, managerId, version: VERSION, clock, rng, ids, log, taskStreams, registry }),
    );
    server.add(AgentSessionService, dispatcher.sessionHandlers);
    server.add(PeerService, dispatcher.peerHandlers);
    dispatcher.start();
    const port = await server.listen(authority(parts.listen));
    const address = authority({ host: parts.listen.host, port });
    log.info('started', { id: managerId, cluster: cluster.id, store: store.driver, listen: address, version: VERSION });
    parts.onServing(address);
    const liveness = ManagerLiveness.create({ managerId, address: parts.advertise ?? address, startedUnixMs: clock.wallMs() });
    const campaigning = campaign(
      { store, state, clock, rng, log, liveness, lead: (leadership) => lead({ store, state, clock, ids, log, leadership }) },
      ending.signal,
    );
    await aborted(signal);
    log.info('stopping');
    ending.abort();
    dispatcher.stop();
    await Promise.all([server.stop(STOP_GRACE_MS), campaigning]);
  } finally {
    ending.abort();
    dispatcher?.stop();
    await following;
  }
}

/** For as long as the store takes to answer. */
function firstSnapshot(state: ClusterState, signal: AbortSignal): Promise<void> {
  if (state.loaded) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      unsubscribe();
      signal.removeEventListener('abort', stop);
    };
    const stop = (): void => {
      finish();
      reject(new ShoalError('cancelled', 'stopped before the store answered'));
    };
    const unsubscribe = state.subscribe(() => {
      finish();
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}

/** The store may fall silent between the snapshot and this write. */
async function clusterOf({ store, clock, rng, ids, log }: ManagerParts, state: ClusterState, signal: AbortSignal): Promise<Cluster> {
  const retry = backoff(RETRY, rng);
  for (;;) {
    try {
      return await ensureCluster(store, state, clock, ids);
    } catch (error) {
      const known = ShoalError.from(error);
      if (!known.retryable) throw known;
      log.warn('the cluster’s own row could not be read or written; trying again', { reason: known.message });
      await sleep(clock, retry.nextMs(), signal);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
