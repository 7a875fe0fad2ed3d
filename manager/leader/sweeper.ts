// Deletes what no pass over a service comes across: rows without an owner. When a leadership has begun, and then rarely.
import { sleep } from '../../lib/clock.ts';
import { sweep } from '../orchestrator/index.ts';
import { Committer } from './committer.ts';
import type { LeadOptions } from './leadership.ts';

/** The loop's own first passes come before. */
const FIRST_AFTER_MS = 30_000;
const EVERY_MS = 10 * 60_000;
const AT_ONCE = 1000;

/** Sweeps until `leadership.ended`. A row that changed meanwhile stays. */
export async function sweepOrphans(options: LeadOptions): Promise<void> {
  const { state, clock, log, leadership } = options;
  const committer = new Committer(options);
  let waitMs = FIRST_AFTER_MS;
  for (;;) {
    try {
      await sleep(clock, waitMs, leadership.ended);
    } catch {
      return;
    }
    const { groups } = sweep(state, AT_ONCE);
    await committer.commit(groups, () => undefined);
    if (groups.length > 0) log.info('deleted rows without an owner', { count: groups.length });
    waitMs = groups.length === AT_ONCE ? FIRST_AFTER_MS : EVERY_MS;
  }
}
