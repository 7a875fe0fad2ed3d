// What a leader does, all under one leadership: the loop, and the upkeep beside it.
import type { Clock } from '../../lib/clock.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import type { ClusterState } from '../state/index.ts';
import type { Store } from '../store/store.ts';
import { compactHistory } from './compactor.ts';
import { runLeaderLoop } from './leader-loop.ts';
import type { Leadership } from './leadership.ts';
import { watchOrphanedNodes } from './orphaned-nodes.ts';
import { sweepOrphans } from './sweeper.ts';

export { campaign } from './election.ts';
export type { Leadership } from './leadership.ts';

export interface LeadOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly leadership: Leadership;
}

/** Resolves when the leadership has ended and nothing of it is under way any more. */
export async function lead(options: LeadOptions): Promise<void> {
  const { ended } = options.leadership;
  await Promise.all([runLeaderLoop(options), watchOrphanedNodes(options), sweepOrphans(options), compactHistory(options, ended)]);
}
