// What a leader does, all under one leadership: the loop, and the upkeep beside it.
import { compactHistory } from './compactor.ts';
import { runLeaderLoop } from './leader-loop.ts';
import type { LeadOptions } from './leadership.ts';
import { watchOrphanedNodes } from './orphaned-nodes.ts';
import { sweepOrphans } from './sweeper.ts';

export { campaign } from './election.ts';
export type { LeadOptions, Leadership } from './leadership.ts';

/** Resolves when the leadership has ended and nothing of it is under way any more. */
export async function lead(options: LeadOptions): Promise<void> {
  const { ended } = options.leadership;
  await Promise.all([runLeaderLoop(options), watchOrphanedNodes(options), sweepOrphans(options), compactHistory(options, ended)]);
}
