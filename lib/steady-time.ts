// Time for judging others' silence: it does not pass while this process was stalled, so that a stall here is not taken for silence there.
import type { Clock, Timer } from './clock.ts';

export interface SteadyTime {
  /** Milliseconds; only differences mean anything. Falls behind the clock by whatever the event loop was late. */
  nowMs(): number;
  stop(): void;
}

export interface SteadyTimeOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  /** A tick later than this past its due time is a stall. */
  readonly stallMs: number;
  /** Called at each tick with how late it was; `stalled`: judge nobody in this one, what others sent meanwhile has not been read yet. */
  readonly onTick: (stalled: boolean, lagMs: number) => void;
}

export function startSteadyTime(options: SteadyTimeOptions): SteadyTime {
  const { clock, tickMs, stallMs } = options;
  const mostMs = tickMs + stallMs;
  let tickedAtMs = clock.nowMs();
  let steadyMs = 0;
  let timer: Timer;
  const tick = (): void => {
    const elapsedMs = clock.nowMs() - tickedAtMs;
    tickedAtMs += elapsedMs;
    steadyMs += Math.min(elapsedMs, mostMs);
    timer = clock.after(tickMs, tick, true);
    options.onTick(elapsedMs > mostMs, Math.max(0, elapsedMs - tickMs));
  };
  timer = clock.after(tickMs, tick, true);
  return {
    nowMs: () => steadyMs + Math.min(clock.nowMs() - tickedAtMs, mostMs),
    stop() {
      timer.cancel();
    },
  };
}
