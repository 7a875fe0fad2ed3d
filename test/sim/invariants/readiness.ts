// Readiness moves traffic only: while a task's readiness probe fails, every mesh passes it over, and nothing is stopped or started; once it passes again, traffic is
// back. Part of a seed in which nothing else goes wrong.
import type { Rng } from '../../../lib/rng.ts';
import type { Container } from '../parts/engine.ts';
import { pickOrNone } from '../core/random.ts';
import { isIngress, sendersTo, type Truth } from '../truth/truth.ts';

/** From a probe's answer over agent, manager and store to all meshes. */
const WAY_MS = 3000;
/** The longest interval of simulated users (specs.ts), with what is added at random. */
const INTERVAL_MS = 2000;

export interface Unready {
  readonly container: Container;
  /** Until its probe must have been noticed to fail, or to pass again. */
  readonly noticedMs: number;
  begin(): void;
  /** Fails unless it is passed over by then. */
  judge(): void;
  end(): void;
}

/** Undefined: no running task has a readiness probe alone, and traffic. */
export function unreadyOne(truth: Truth, rng: Rng): Unready | undefined {
  const probed = [...truth.containers()].filter((one) => {
    const spec = truth.specOf(one);
    const { readiness, liveness } = spec?.task?.probes ?? {};
    return one.state === 'running' && isIngress(spec) && readiness !== undefined && liveness === undefined;
  });
  const container = pickOrNone(rng, probed);
  if (container === undefined) return undefined;
  const failures = truth.specOf(container)?.task?.probes?.readiness?.failures ?? 1;
  return {
    container,
    noticedMs: INTERVAL_MS * (failures + 1) + WAY_MS,
    begin() {
      container.probes = 'failed';
      truth.world.trace.line('FAULT', `the readiness probe of ${truth.describe(container)} fails`);
    },
    judge() {
      const senders = sendersTo(truth, container);
      if (senders.length > 0)
        truth.fail('readiness', `${truth.describe(container)} is not ready, and ${senders.join(', ')} send connections to it`);
    },
    end() {
      container.probes = 'answered';
    },
  };
}
