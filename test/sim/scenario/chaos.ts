// The part of a seed in which things go wrong: when which fault strikes, and that each is put right in the end.
import type { Rng } from '../../../lib/rng.ts';
import type { Truth } from '../truth/truth.ts';
import { type Coverage, type Step, stepsUnderWay } from './coverage.ts';
import type { Fault } from './fault.ts';
import { strike } from './faults.ts';
import { provoke, type ProvokeWorld } from './provoke.ts';
import type { Traps } from './traps.ts';

/** Between two looks at what is under way, and until a step that does not come is given up. */
const LOOK_MS = 25;
const PATIENCE_MS = 20_000;
/** Waited for by chance alone; after that it is brought about, again and again. */
const CHANCE_MS = 4000;
/** Of a kind that finds nothing to strike another one takes the place. */
const ATTEMPTS = 10;

export interface ChaosOptions {
  readonly truth: Truth;
  readonly rng: Rng;
  readonly traps: Traps;
  readonly coverage: Coverage;
  readonly ask: ProvokeWorld['ask'];
}

export class Chaos {
  /** Faults so far. */
  count = 0;
  readonly #options: ChaosOptions;
  readonly #heals: (() => void)[] = [];
  #isOver = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  strike(): void {
    const { truth, rng, traps } = this.#options;
    const steps = stepsUnderWay(truth);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const fault = strike({ truth, rng, traps });
      if (fault === undefined) continue;
      this.#begin(steps, fault);
      return;
    }
  }

  /** Waits for a step of the protocol to be under way, and strikes in the middle of it: of itself, or brought about; by another kind once that takes too long. */
  aim(step: Step, kind: number): void {
    const { truth, rng, traps, ask } = this.#options;
    const endMs = truth.nowMs + PATIENCE_MS;
    let provokeMs = truth.nowMs + CHANCE_MS;
    const look = (): void => {
      if (this.#isOver) return;
      const steps = stepsUnderWay(truth);
      const fault = steps.has(step) ? strike({ truth, rng, traps }, kind) : undefined;
      if (fault === undefined && !steps.has(step) && truth.nowMs >= provokeMs) {
        provokeMs = truth.nowMs + CHANCE_MS;
        provoke(step, { truth, rng, ask });
      }
      if (fault !== undefined) this.#begin(steps, fault);
      else if (truth.nowMs < endMs) truth.later(LOOK_MS, look);
      else this.strike();
    };
    look();
  }

  #begin(steps: ReadonlySet<Step>, fault: Fault | undefined): void {
    const { truth, coverage } = this.#options;
    const { trace } = truth.world;
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
    this.#isOver = true;
    world.trace.line('FAULT', 'everything is put right');
    for (const heal of this.#heals) heal();
    for (const node of world.nodes) node.engine.heal();
    for (const manager of world.managers) manager.start();
    for (const node of world.nodes) node.startAgent();
  }
}
