// Warnings that somebody outside can cause as often as they like: the first of a kind goes out at once, then one per period.
import type { Clock } from './clock.ts';
import type { LogFields, Logger } from './log.ts';

/** `leftOut` in a line counts those of the same message that were not written since the last one. Messages are few and constant. */
export type RareLog = (message: string, fields?: LogFields) => void;

const PERIOD_MS = 10_000;

export function rareLog(log: Logger, clock: Pick<Clock, 'nowMs'>, periodMs = PERIOD_MS): RareLog {
  const kinds = new Map<string, { nextMs: number; leftOut: number }>();
  return (message, fields = {}) => {
    const nowMs = clock.nowMs();
    const kind = kinds.get(message) ?? { nextMs: nowMs, leftOut: 0 };
    kinds.set(message, kind);
    if (nowMs < kind.nextMs) {
      kind.leftOut++;
      return;
    }
    log.warn(message, kind.leftOut === 0 ? fields : { ...fields, leftOut: kind.leftOut });
    kind.nextMs = nowMs + periodMs;
    kind.leftOut = 0;
  };
}
