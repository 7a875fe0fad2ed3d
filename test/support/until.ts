// Waiting for a condition with a deadline, in place of sleeping.
import { systemClock, sleep } from '../../lib/clock.ts';

const POLL_MS = 20;
const DEADLINE_MS = 10_000;

/** Resolves when `condition` answers true; one that throws counts as not yet. Rejects after the deadline with `what` and the last error. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const endMs = systemClock.nowMs() + deadlineMs;
  for (;;) {
    let problem = '';
    try {
      if (await condition()) return;
    } catch (error) {
      problem = `; last error: ${String(error)}`;
    }
    if (systemClock.nowMs() >= endMs) {
      throw new Error(`not within ${deadlineMs / 1000} s: ${typeof what === 'string' ? what : what()}${problem}`);
    }
    await sleep(systemClock, POLL_MS);
  }
}
