// Batching: a lone trigger is served at once, triggers in quick succession share one flush per window.
import type { Clock, Timer } from './clock.ts';

export interface AdaptiveWindow {
  trigger(): void;
  stop(): void;
}

export interface WindowBounds {
  /** After a lone flush, the next one waits at least this long. */
  readonly shortMs: number;
  /** What the wait grows to while triggers keep coming. */
  readonly longMs: number;
}

/** `flush` must not throw; it runs in a microtask or timer, never inside `trigger`. */
export function adaptiveWindow(clock: Clock, bounds: WindowBounds, flush: () => void): AdaptiveWindow {
  let windowMs = bounds.shortMs;
  let flushedAtMs = Number.NEGATIVE_INFINITY;
  let waiting = false;
  let stopped = false;
  let timer: Timer | undefined;
  const run = (): void => {
    waiting = false;
    if (stopped) return;
    flushedAtMs = clock.nowMs();
    flush();
  };
  return {
    trigger() {
      if (waiting || stopped) return;
      waiting = true;
      const restMs = flushedAtMs + windowMs - clock.nowMs();
      if (restMs <= 0) {
        windowMs = bounds.shortMs;
        queueMicrotask(run);
      } else {
        windowMs = Math.min(bounds.longMs, windowMs * 1.5);
        timer = clock.after(restMs, run);
      }
    },
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
