// What the sessions of one manager share: the hub gives it to each of them.
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { RareLog } from '../../lib/rare-log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { Register } from '../../proto/index.ts';
import type { ClusterState } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import type { FencedWriter } from './fenced-writer.ts';
import type { DispatcherMetrics } from './metrics.ts';
import type { Registration, Removal } from './registration.ts';
import type { RevisionGate } from './revision-gate.ts';
import type { RouteAckBook } from './route-acks.ts';
import type { RouteFeed } from './route-feed.ts';
import type { Session } from './session.ts';
import type { DispatcherSettings } from './settings.ts';

/** What all sessions of a manager share. */
export interface SessionServices {
  readonly state: ClusterState;
  readonly managerId: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** For what any client can cause. */
  readonly warnRarely: RareLog;
  readonly settings: DispatcherSettings;
  readonly metrics: DispatcherMetrics;
  readonly writer: FencedWriter;
  readonly routes: RouteFeed;
  readonly acks: RouteAckBook;
  readonly gate: RevisionGate;
  readonly steadyNowMs: () => number;
  readonly storeReachable: () => boolean;
  /** Addresses of all managers. */
  readonly managers: () => readonly string[];
  readonly aheadRevision: () => Revision;
  readonly register: (register: Register, wanted: () => boolean) => Promise<Registration | Removal>;
  /** It has said who it is. */
  readonly spoke: (session: Session) => void;
  readonly opened: (session: Session) => void;
  readonly ended: (session: Session) => void;
  readonly heard: (nodeId: string) => void;
}
