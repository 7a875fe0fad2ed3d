// What a fault is, and what all of them draw on.
import type { Rng } from '../../../lib/rng.ts';
import { between, chance, pick } from '../core/random.ts';
import type { SimManager } from '../parts/manager.ts';
import type { Truth } from '../truth/truth.ts';
import type { Traps } from './traps.ts';

export interface Fault {
  readonly name: string;
  /** What it struck, for the trace. */
  readonly target: string;
  /** Hosts on which nothing can be expected to be quick meanwhile. */
  readonly touches: readonly string[];
  readonly lastsMs: number;
  /** Puts it right. */
  readonly heal: () => void;
}

/** Undefined: it found nothing to strike. */
export type Maker = (world: FaultWorld) => Fault | undefined;

export interface FaultWorld {
  readonly truth: Truth;
  readonly rng: Rng;
  readonly traps: Traps;
}

export function lasting(rng: Rng): number {
  return chance(rng, 0.3) ? between(rng, 4000, 20_000) : between(rng, 200, 4000);
}

/** While there is none: one of those that want to be. */
export function leaderOf({ truth, rng }: Pick<FaultWorld, 'truth' | 'rng'>): SimManager {
  const id = truth.mirror.get('leader', '')?.value.managerId;
  const { managers } = truth.world;
  const alive = managers.filter(({ process }) => process?.alive === true);
  return alive.find((manager) => manager.id === id) ?? pick(rng, alive.length === 0 ? managers : alive);
}
