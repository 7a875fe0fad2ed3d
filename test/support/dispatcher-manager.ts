// A manager that has a store, a state and a dispatcher, behind a real gRPC server; several may share one store, and one's watch may be held.
import { ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '../../lib/clock.ts';
import { systemIds } from '../../lib/ids.ts';
import { type LogFields, type Logger } from '../../lib/log.ts';
import { systemRng } from '../../lib/rng.ts';
import { createServer } from '../../lib/rpc/index.ts';
import { createDispatcher, type Dispatcher, type DispatcherSettings } from '../../manager/dispatcher/index.ts';
import { ClusterState, followStore } from '../../manager/state/index.ts';
import { createMemoryServer, openMemoryStore } from '../../manager/store/memory.ts';
import type { Store } from '../../manager/store/store.ts';
import { AgentSessionService, Cluster, ClusterSettings, ManagerLiveness, PeerService } from '../../proto/index.ts';
import { row, type RowWrite, storeRows } from './state-rows.ts';
import { until } from './until.ts';
import { watchGate } from './watch-gate.ts';

export const CLUSTER_ID = 'c0000000000000000000000c1';

export interface LoggedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface DispatcherManager {
  readonly id: string;
  readonly address: string;
  readonly store: Store;
  readonly state: ClusterState;
  readonly dispatcher: Dispatcher;
  readonly lines: readonly LoggedLine[];
  /** The state stays where it is until `releaseWatch`. */
  holdWatch(): void;
  releaseWatch(): void;
  write(...rows: readonly RowWrite[]): Promise<number>;
  stop(): Promise<void>;
}

export interface DispatcherManagerOptions {
  readonly settings?: Partial<DispatcherSettings>;
}

/** Managers on one store in memory; the cluster row is there. */
export async function dispatcherManagers(
  ids: readonly string[],
  options: DispatcherManagerOptions & { readonly cluster?: Partial<ClusterSettings> } = {},
): Promise<readonly DispatcherManager[]> {
  const server = createMemoryServer();
  const first = openMemoryStore({ server });
  const settings = ClusterSettings.create({ heartbeatPeriodMs: 100, nodeDownAfterMs: 1000, ...options.cluster });
  await storeRows(first, row('cluster', '', Cluster.create({ id: CLUSTER_ID, incarnation: 'first', incarnationNumber: 1, settings })));
  const managers: DispatcherManager[] = [];
  for (const id of ids) managers.push(await startManager(id, openMemoryStore({ server }), options));
  await until(() => managers.every((manager) => manager.state.count('managers') === ids.length), 'every manager knows all');
  return managers;
}

async function startManager(id: string, store: Store, options: DispatcherManagerOptions): Promise<DispatcherManager> {
  const lines: LoggedLine[] = [];
  const log = recordingLogger(lines, {});
  const gate = watchGate();
  const state = new ClusterState(systemClock, log);
  const ended = new AbortController();
  const held: Store = { ...store, watch: (prefix, from, signal) => gate.through(store.watch(prefix, from, signal)) };
  const following = followStore({ store: held, state, clock: systemClock, rng: systemRng, log }, ended.signal);
  await until(() => state.get('cluster', '') !== undefined, 'the state is read');
  const dispatcher = createDispatcher({
    ...{ store, state, managerId: id, clusterId: CLUSTER_ID, clock: systemClock, rng: systemRng, ids: systemIds, log },
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  });
  const server = createServer(log);
  server.add(AgentSessionService, dispatcher.sessionHandlers);
  server.add(PeerService, dispatcher.peerHandlers);
  const port = await server.listen('127.0.0.1:0', ServerCredentials.createInsecure());
  const address = `127.0.0.1:${port}`;
  await storeRows(store, row('managers', id, ManagerLiveness.create({ managerId: id, address })));
  dispatcher.start();
  return {
    id,
    address,
    store,
    state,
    dispatcher,
    lines,
    holdWatch: gate.hold,
    releaseWatch: gate.release,
    write: (...rows) => storeRows(store, ...rows),
    async stop() {
      dispatcher.stop();
      gate.release();
      ended.abort();
      await server.stop(0);
      await store.close();
      await following;
    },
  };
}

function recordingLogger(lines: LoggedLine[], fields: LogFields): Logger {
  const at =
    (level: string) =>
    (message: string, more: LogFields = {}): void => {
      lines.push({ level, message, fields: { ...fields, ...more } });
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: (more) => recordingLogger(lines, { ...fields, ...more }),
  };
}
