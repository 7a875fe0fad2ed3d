// Which slots of jobs really came to a good end, and how often: counted where the containers are, not where it is told.
import type { Container } from '../parts/engine.ts';
import { isJob, type Truth } from './truth.ts';

export interface Finishes {
  /** By slot, as `Truth.slotOf` names it. */
  readonly of: ReadonlyMap<string, readonly Container[]>;
}

export function countFinishes(truth: Truth): Finishes {
  const of = new Map<string, Container[]>();
  truth.listen({
    ended(container) {
      if (container.exit?.exitCode !== 0 || !isJob(truth.specOf(container))) return;
      const slot = truth.slotOf(container);
      of.set(slot, [...(of.get(slot) ?? []), container]);
    },
  });
  return { of };
}
