// Bounds how much work goes to the engine at once, without letting slow work starve the rest.
import type { Clock, Timer } from '../../lib/clock.ts';

export interface Limiter {
  /** Runs `work` when there is room, lowest `priority` first, then in order. Rejects as `work` does, or at once when `signal` aborts before it began. */
  run<T>(priority: number, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export interface LimiterOptions {
  readonly inFlight: number;
  /** Work that takes longer (it waits for a registry, or for a process to end) no longer counts: it does not load the engine. Unset: all counts. */
  readonly patienceMs?: number;
}

interface Waiting {
  readonly priority: number;
  begin(): void;
}

export function limiter(options: LimiterOptions, clock: Clock): Limiter {
  const waiting: Waiting[] = [];
  let counted = 0;
  const next = (): void => {
    while (counted < options.inFlight && waiting.length > 0) {
      let best = 0;
      for (let i = 1; i < waiting.length; i++) {
        if ((waiting[i]?.priority ?? 0) < (waiting[best]?.priority ?? 0)) best = i;
      }
      waiting.splice(best, 1)[0]?.begin();
    }
  };
  const admit = async <T>(work: () => Promise<T>): Promise<T> => {
    counted++;
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      counted--;
      next();
    };
    const patience: Timer | undefined = options.patienceMs === undefined ? undefined : clock.after(options.patienceMs, release, true);
    try {
      return await work();
    } finally {
      patience?.cancel();
      release();
    }
  };
  return {
    run: (priority, signal, work) =>
      new Promise((resolve, reject) => {
        const onAbort = (): void => {
          const at = waiting.indexOf(entry);
          if (at !== -1) waiting.splice(at, 1);
          reject(signal.reason as Error);
        };
        const entry: Waiting = {
          priority,
          begin() {
            signal.removeEventListener('abort', onAbort);
            admit(work).then(resolve, reject);
          },
        };
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.push(entry);
        next();
      }),
  };
}
