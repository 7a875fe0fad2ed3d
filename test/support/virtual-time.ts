// Lets a manual clock run together with promises: everything that is ready runs between two steps of the clock.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ManualClock } from './manual-clock.ts';

/** More turns of the event loop than any chain of promises in the code under test takes. */
const TURNS = 10;
const STEP_MS = 50;

/** Runs what is ready; the clock stands. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
}

/** Lets `ms` pass in small steps. */
export async function passTime(clock: ManualClock, ms: number): Promise<void> {
  await settle();
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    clock.advance(Math.min(STEP_MS, ms - passed));
    await settle();
  }
}

/** Lets time pass until `condition` holds; rejects with `what` after `limitMs` of the clock's own time. Resolves to the time that passed. */
export async function passUntil(clock: ManualClock, condition: () => boolean, what: string, limitMs = 60_000): Promise<number> {
  const startMs = clock.nowMs();
  await settle();
  while (!condition()) {
    if (clock.nowMs() - startMs >= limitMs) throw new Error(`not within ${limitMs / 1000} s of the manual clock: ${what}`);
    await passTime(clock, STEP_MS);
  }
  return clock.nowMs() - startMs;
}
