// The simulator finds faults: each deliberately broken variant of the product is noticed by the invariants within 300 seeds. Begun with a seed that is known to
// notice it, so that this takes seconds; where the product has changed since, the others follow.
import assert from 'node:assert/strict';
import { VARIANTS } from './broken/variants.ts';
import { runSeeds, type SeedSummary } from './run.ts';

const SEEDS = 300;
const LEAST_VARIANTS = 12;

async function firstThatNotices(name: string, knownSeed: number): Promise<SeedSummary | undefined> {
  const others = Array.from({ length: SEEDS }, (_, index) => index + 1).filter((seed) => seed !== knownSeed);
  let noticed: SeedSummary | undefined;
  const take = (summary: SeedSummary): boolean => {
    if (summary.violation !== undefined) noticed ??= summary;
    return noticed === undefined;
  };
  await runSeeds([knownSeed, ...others], take, { processes: 1, broken: name });
  return noticed;
}

describe('a broken variant of the product', () => {
  it(`is one of at least ${LEAST_VARIANTS}`, () => {
    assert.ok(VARIANTS.length >= LEAST_VARIANTS);
    assert.equal(new Set(VARIANTS.map(({ name }) => name)).size, VARIANTS.length);
  });

  for (const { name, what, knownSeed } of VARIANTS) {
    it(`is noticed: ${name} (${what})`, async () => {
      const summary = await firstThatNotices(name, knownSeed);
      assert.ok(summary !== undefined, `no seed up to ${SEEDS} noticed it`);
      assert.ok(!summary.violation?.startsWith('crash'), `it breaks down instead: ${summary.violation ?? ''}`);
    });
  }
});
