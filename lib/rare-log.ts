// Warnings that somebody outside can cause as often as they like: the first of a kind go out at once, and no more than so many per period.
import type { Clock } from './clock.ts';
import type { LogFields, Logger } from './log.ts';

/** `leftOut` in a line counts those of the same message that were not written since the last one. Messages are few and constant. */
export type RareLog = (message: string, fields?: LogFields) => void;

export interface RareLogBounds {
  /** 1 unless given. */
  readonly perPeriod?: number;
  /** 10,000 unless given. */
  readonly periodMs?: number;
}

const PERIOD_MS = 10_000;

export function rareLog(log: Logger, clock: Pick<Clock, 'nowMs'>, bounds: RareLogBounds = {}): RareLog {
  const { perPeriod = 1, periodMs = PERIOD_MS } = bounds;
  const kinds = new Map<string, { sinceMs: number; written: number; leftOut: number }>();
  return (message, fields = {}) => {
    const nowMs = clock.nowMs();
    const kind = kinds.get(message) ?? { sinceMs: nowMs, written: 0, leftOut: 0 };
    kinds.set(message, kind);
    if (nowMs - kind.sinceMs >= periodMs) {
      kind.sinceMs = nowMs;
      kind.written = 0;
    }
    if (kind.written >= perPeriod) {
      kind.leftOut++;
      return;
    }
    log.warn(message, kind.leftOut === 0 ? fields : { ...fields, leftOut: kind.leftOut });
    kind.written++;
    kind.leftOut = 0;
  };
}
