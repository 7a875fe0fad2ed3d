// Real time, run faster: deadlines of many seconds pass in a moment, while processes and files are real.
import { type Clock, systemClock } from '../../lib/clock.ts';

export function fastClock(factor: number): Clock {
  return {
    nowMs: () => systemClock.nowMs() * factor,
    wallMs: () => systemClock.wallMs(),
    after: (delayMs, call, background) => systemClock.after(delayMs / factor, call, background),
  };
}
