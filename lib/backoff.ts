// Delays between retries: exponential, jittered, capped.
import type { Rng } from './rng.ts';

export interface BackoffOptions {
  readonly baseMs: number;
  readonly capMs: number;
}

export interface Backoff {
  /** Milliseconds to wait now; each call grows the next one. Uniform in [half, whole] of the present step. */
  nextMs(): number;
  reset(): void;
}

export function backoff(options: BackoffOptions, rng: Rng): Backoff {
  let stepMs = options.baseMs;
  return {
    nextMs() {
      const delayMs = stepMs * (0.5 + rng.next() / 2);
      stepMs = Math.min(options.capMs, stepMs * 2);
      return delayMs;
    },
    reset() {
      stepMs = options.baseMs;
    },
  };
}
