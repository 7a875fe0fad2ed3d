// A clock that stands until it is told to go on.
import { type Clock } from '../../lib/clock.ts';

export interface ManualClock extends Clock {
  /** Runs every timer that falls due on the way, in order. */
  advance(ms: number): void;
  /** How many timers wait. */
  readonly waiting: number;
}

export function manualClock(startMs = 0): ManualClock {
  interface Entry {
    readonly atMs: number;
    readonly call: () => void;
  }
  const entries = new Set<Entry>();
  let nowMs = startMs;
  const nextUntil = (endMs: number): Entry | undefined => {
    let next: Entry | undefined;
    for (const entry of entries) {
      if (entry.atMs <= endMs && (next === undefined || entry.atMs < next.atMs)) next = entry;
    }
    return next;
  };
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, call) {
      const entry = { atMs: nowMs + Math.max(0, delayMs), call };
      entries.add(entry);
      return { cancel: () => void entries.delete(entry) };
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (let entry = nextUntil(endMs); entry !== undefined; entry = nextUntil(endMs)) {
        entries.delete(entry);
        nowMs = Math.max(nowMs, entry.atMs);
        entry.call();
      }
      nowMs = endMs;
    },
    get waiting() {
      return entries.size;
    },
  };
}
