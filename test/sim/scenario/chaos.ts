// The part of a seed in which things go wrong: when which fault strikes, and that each is put right in the end.
import type { Rng } from '../../../lib/rng.ts';
import type { Truth } from '../truth/truth.ts';
import { type Coverage, stepsUnderWay } from './coverage.ts';
import { strike, type Traps } from './faults.ts';

export interface ChaosOptions {
  readonly truth: Truth;
  readonly rng: Rng;
  readonly traps: Traps;
  readonly coverage: Coverage;
}

export class Chaos {
  /** Faults so far. */
  count = 0;
  readonly #options: ChaosOptions;
  readonly #heals: (() => void)[] = [];

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  strike(): void {
    const { truth, rng, traps, coverage } = this.#options;
    const { trace } = truth.world;
    const steps = stepsUnderWay(truth);
    const fault = strike({ truth, rng, traps });
    if (fault === undefined) return;
    this.count++;
    trace.line('FAULT', `${fault.name}: ${fault.target}, for ${(fault.lastsMs / 1000).toFixed(1)} s`);
    coverage.count(fault.name, steps);
    truth.faults.add(fault);
    truth.disturbed(fault.touches);
    const heal = (): void => {
      if (!truth.faults.delete(fault)) return;
      trace.line('FAULT', `over: ${fault.name}: ${fault.target}`);
      fault.heal();
      truth.disturbed(fault.touches);
    };
    this.#heals.push(heal);
    truth.later(fault.lastsMs, heal);
  }

  /** Everything that is broken now works again, and whatever does not run is started. */
  end(): void {
    const { world } = this.#options.truth;
    world.trace.line('FAULT', 'everything is put right');
    for (const heal of this.#heals) heal();
    for (const node of world.nodes) node.engine.heal();
    for (const manager of world.managers) manager.start();
    for (const node of world.nodes) node.startAgent();
  }
}
