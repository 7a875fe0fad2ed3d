// How much of what tasks leave behind a node keeps.
import type { UnusedLimits } from '../runtime/runtime.ts';
import type { RetentionLimits } from '../worker/retention.ts';

export interface HousekeepingSettings {
  /** Between two clean-ups; each wait is jittered by a fifth. Infinity: none. */
  readonly intervalMs: number;
  readonly finished: RetentionLimits;
  readonly images: UnusedLimits;
}
