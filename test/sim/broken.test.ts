// The simulator finds faults: each deliberately broken variant of the product is noticed by the invariants within 300 seeds. Begun with a seed that is known to
// notice it, so that this takes seconds; where the product has changed since, the others follow. `npm run sim -- --broken all --seeds 300` begins with seed 1 and
// prints which seed noticed what.
import assert from 'node:assert/strict';
import { noticeAll } from './broken/notice.ts';
import { misfits } from './broken/variant.ts';
import { VARIANTS } from './broken/variants.ts';
import type { SeedSummary } from './pool.ts';

const SEEDS = 300;
const LEAST_VARIANTS = 12;

describe('the place that a broken variant replaces', () => {
  for (const variant of VARIANTS) {
    it(`is in the source: ${variant.name}`, () => {
      assert.deepEqual(misfits(variant), []);
    });
  }
});

describe('a broken variant of the product', () => {
  const noticed = new Map<string, SeedSummary | undefined>();

  before(async () => {
    await noticeAll(
      VARIANTS,
      ({ knownSeed }) => [knownSeed, ...Array.from({ length: SEEDS }, (_, index) => index + 1).filter((seed) => seed !== knownSeed)],
      ({ name }, summary) => noticed.set(name, summary),
    );
  });

  it(`is one of at least ${LEAST_VARIANTS}`, () => {
    assert.ok(VARIANTS.length >= LEAST_VARIANTS);
    assert.equal(new Set(VARIANTS.map(({ name }) => name)).size, VARIANTS.length);
  });

  for (const { name, what } of VARIANTS) {
    it(`is noticed: ${name} (${what})`, () => {
      const summary = noticed.get(name);
      assert.ok(summary !== undefined, `no seed up to ${SEEDS} noticed it`);
      assert.ok(!summary.violation?.startsWith('crash'), `it breaks down instead: ${summary.violation ?? ''}`);
    });
  }
});
