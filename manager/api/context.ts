// What every part of the control API is given.
import type { Clock } from '../../lib/clock.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { TaskStreams } from '../dispatcher/task-streams.ts';
import type { ClusterState } from '../state/index.ts';
import type { Store } from '../store/store.ts';
import type { ImageResolver } from './registry/image-resolver.ts';

export interface ApiContext {
  readonly store: Store;
  readonly state: ClusterState;
  readonly managerId: string;
  /** Shoal's own version. */
  readonly version: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly ids: Ids;
  readonly log: Logger;
  readonly taskStreams: TaskStreams;
  readonly registry: ImageResolver;
}
