// A manager from start to end: store, state, agent sessions, control API, and the campaign to lead.
import { ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import { lockFolder } from '../lib/folder-lock.ts';
import { type HealthServer, metrics, startHealthServer } from '../lib/health-server.ts';
import { systemIds } from '../lib/ids.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { systemRng } from '../lib/rng.ts';
import { createServer } from '../lib/rpc/index.ts';
import { VERSION } from '../lib/version.ts';
import { AgentSessionService, ControlService, ManagerLiveness, PeerService } from '../proto/index.ts';
import { createControlApi, createImageResolver } from './api/index.ts';
import { ensureCluster } from './cluster-identity.ts';
import { createDispatcher } from './dispatcher/index.ts';
import { campaign, lead } from './leader/index.ts';
import { managerId as readManagerId } from './manager-identity.ts';
import type { ManagerOptions } from './options.ts';
import { ClusterState, followStore } from './state/index.ts';
import { openStore } from './store/index.ts';
import type { Store } from './store/store.ts';

/** Calls under way get this long when the manager stops. */
const STOP_GRACE_MS = 2000;

const base = { clock: systemClock, rng: systemRng, ids: systemIds };

/** Resolves when the manager has ended, after `signal`. Throws what kept it from starting. */
export async function runManager(options: ManagerOptions, signal: AbortSignal): Promise<void> {
  const log = createLogger({ role: 'manager', level: options.logLevel, format: options.logFormat });
  const unlock = lockFolder(options.dataDir, 'a manager');
  try {
    const store = await openStoreOf(options, log);
    try {
      await serve(options, store, log, signal);
    } finally {
      await store.close();
    }
  } finally {
    unlock();
  }
}

function openStoreOf({ etcdEndpoints, etcdPrefix, storeDir }: ManagerOptions, log: Logger): Promise<Store> {
  return etcdEndpoints.length === 0
    ? openStore({ driver: 'embedded', directory: storeDir, ...base, log })
    : openStore({ driver: 'etcd', endpoints: etcdEndpoints, prefix: etcdPrefix, ...base, log });
}

async function serve(options: ManagerOptions, store: Store, log: Logger, signal: AbortSignal): Promise<void> {
  const ending = new AbortController();
  const state = new ClusterState(base.clock, log);
  const following = followStore({ ...base, store, state, log }, ending.signal);
  let ready = 'the state is being read from the store';
  const health = await startHealth(options, () => (ready !== '' ? ready : store.reachable() ? undefined : 'the store is unreachable'));
  const managerId = readManagerId(options.dataDir, base.ids);
  try {
    await firstSnapshot(state, signal);
    const cluster = await ensureCluster(store, state, base.clock, base.ids);
    const dispatcher = createDispatcher({ ...base, store, state, managerId, clusterId: cluster.id, log, registry: metrics });
    dispatcher.start();
    const server = createServer(log);
    const registry = createImageResolver({ clock: base.clock, insecureRegistries: options.insecureRegistries });
    server.add(
      ControlService,
      createControlApi({ ...base, store, state, managerId, version: VERSION, log, taskStreams: dispatcher.taskStreams, registry }),
    );
    server.add(AgentSessionService, dispatcher.sessionHandlers);
    server.add(PeerService, dispatcher.peerHandlers);
    await server.listen(authority(options.listen), ServerCredentials.createInsecure());
    ready = '';
    log.info('started', { id: managerId, cluster: cluster.id, store: store.driver, listen: authority(options.listen), version: VERSION });
    const liveness = ManagerLiveness.create({ managerId, address: options.advertise, startedUnixMs: base.clock.wallMs() });
    const campaigning = campaign(
      { ...base, store, state, log, liveness, lead: (leadership) => lead({ ...base, store, state, log, leadership }) },
      ending.signal,
    );
    await aborted(signal);
    log.info('stopping');
    ending.abort();
    dispatcher.stop();
    await Promise.all([server.stop(STOP_GRACE_MS), campaigning]);
  } finally {
    ending.abort();
    await following;
    await health?.stop();
  }
}

async function startHealth({ health }: ManagerOptions, ready: () => string | undefined): Promise<HealthServer | undefined> {
  return health === undefined ? undefined : startHealthServer({ ...health, ready });
}

/** For as long as the store takes to answer: an outage at start is waited out, `/readyz` says so. */
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
  });
}

function authority({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
