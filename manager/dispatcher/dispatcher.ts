// Serves agents: one session per node, with everything that flows over it, and streams of logs and exec to any node of the cluster.
// This is the folder's face; hub.ts joins the parts.
import { Registry } from 'prom-client';
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { HandlersOf, RpcConnection } from '../../lib/rpc/index.ts';
import type { AgentSessionService, PeerService } from '../../proto/index.ts';
import type { ClusterState } from '../state/index.ts';
import type { Store } from '../store/store.ts';
import { Hub } from './hub.ts';
import { dispatcherMetrics } from './metrics.ts';
import { servePeer } from './peer-streams.ts';
import type { DispatcherSettings } from './settings.ts';
import type { TaskStreams } from './task-streams.ts';

export interface DispatcherOptions {
  readonly store: Store;
  /** Follows the store already: `start` reads it. */
  readonly state: ClusterState;
  readonly managerId: string;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly ids: Ids;
  readonly log: Logger;
  readonly settings?: Partial<DispatcherSettings>;
  /** To other managers; unencrypted unless given. */
  readonly connectTo?: (address: string) => RpcConnection;
  /** Where the metrics go; nowhere unless given. */
  readonly registry?: Registry;
}

export interface Dispatcher {
  readonly sessionHandlers: HandlersOf<typeof AgentSessionService>;
  readonly peerHandlers: HandlersOf<typeof PeerService>;
  /** Streams to any node's tasks, whichever manager holds its session. */
  readonly taskStreams: TaskStreams;
  /** Once the state has its first snapshot. Sessions are refused before. */
  start(): void;
  /** Ends all sessions, so that the agents go elsewhere at once; no node is marked down for it. */
  stop(): void;
  /** Agents with a session here. */
  sessionCount(): number;
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const metrics = dispatcherMetrics(options.registry ?? new Registry());
  let running: Hub | undefined;
  const needed = (): Hub => {
    if (running === undefined) throw new ShoalError('unavailable', 'this manager is starting or stopping; try again or try another');
    return running;
  };
  const taskStreams: TaskStreams = { open: async (nodeId, request, signal) => await needed().openStream(nodeId, request, signal) };
  return {
    sessionHandlers: {
      session: (call) => {
        needed().accept(call);
      },
      taskStream: (call) => {
        needed().streams.local.accept(call);
      },
    },
    peerHandlers: {
      taskStream: (call) => {
        const { streams, settings } = needed();
        servePeer(call, {
          ...options,
          attachMs: settings.attachMs,
          open: (nodeId, request, signal) => streams.local.open(nodeId, request, signal),
        });
      },
    },
    taskStreams,
    start() {
      running ??= new Hub(options, metrics);
    },
    stop() {
      running?.stop();
      running = undefined;
    },
    sessionCount: () => running?.sessionCount ?? 0,
  };
}
