// A deadline for others' answers in which a stall of this process does not count: an answer that arrived meanwhile is read before it is judged.
import type { Clock, Timer } from '../../lib/clock.ts';

/** The time is counted in slices: what a slice takes longer than this is the event loop's lag. */
const SLICE_MS = 250;
const LATE_MS = 50;

/** Calls `over` once, `deadlineMs` from now at the earliest, and never in a tick that came late. */
export function steadyDeadline(clock: Clock, deadlineMs: number, over: () => void): Timer {
  let leftMs = deadlineMs;
  let timer: Timer;
  const begin = (): void => {
    const beganMs = clock.nowMs();
    const sliceMs = Math.min(SLICE_MS, leftMs);
    timer = clock.after(sliceMs, () => {
      const lateMs = clock.nowMs() - beganMs - sliceMs;
      leftMs -= sliceMs;
      if (lateMs <= LATE_MS && leftMs <= 0) over();
      else {
        // One more slice where the last one was late: what came in meanwhile is handled first.
        if (lateMs > LATE_MS) leftMs = Math.max(leftMs, SLICE_MS);
        begin();
      }
    });
  };
  begin();
  return {
    cancel() {
      timer.cancel();
    },
  };
}
