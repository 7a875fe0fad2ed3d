// Which seed notices a broken variant first.
import { availableParallelism } from 'node:os';
import { runSeeds, type SeedSummary } from '../pool.ts';
import type { Variant } from './variant.ts';

/** Undefined: none of the seeds, tried in that order, notices it. */
async function firstThatNotices({ name }: Variant, seeds: readonly number[]): Promise<SeedSummary | undefined> {
  let noticed: SeedSummary | undefined;
  const take = (summary: SeedSummary): boolean => {
    if (summary.violation !== undefined) noticed ??= summary;
    return noticed === undefined;
  };
  await runSeeds(seeds, take, { processes: 1, broken: name });
  return noticed;
}

/** Several variants at the same time, one on each core; `onDone` hears of each as it is decided. */
export async function noticeAll(
  variants: readonly Variant[],
  seedsOf: (variant: Variant) => readonly number[],
  onDone: (variant: Variant, noticed: SeedSummary | undefined) => void,
  processes = availableParallelism(),
): Promise<void> {
  const left = [...variants];
  const work = async (): Promise<void> => {
    for (let variant = left.shift(); variant !== undefined; variant = left.shift())
      onDone(variant, await firstThatNotices(variant, seedsOf(variant)));
  };
  await Promise.all(Array.from({ length: processes }, work));
}
