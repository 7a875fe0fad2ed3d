import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Share, slotsOf } from '../../../../mesh/kernel/slots.ts';

function share(address: string, more: Partial<Share> = {}): Share {
  return { address, weight: 1, canary: false, ...more };
}

function counts(slots: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const slot of slots) found[slot] = (found[slot] ?? 0) + 1;
  return found;
}

describe('slots of a kernel port', () => {
  it('are one for each replica of equal weight, in their order', () => {
    assert.deepEqual(slotsOf([share('a', { weight: 7 }), share('b', { weight: 7 })], 0, []), ['a', 'b']);
  });

  it('are as many as weights say, evenly spread', () => {
    assert.deepEqual(slotsOf([share('a', { weight: 3 }), share('b')], 0, []), ['a', 'a', 'b', 'a']);
  });

  it('give canaries exactly their share, whatever their number', () => {
    const shares = [share('a'), share('b'), share('c', { canary: true }), share('d', { canary: true })];
    assert.deepEqual(counts(slotsOf(shares, 100, [])), { a: 9, b: 9, c: 1, d: 1 });
    assert.deepEqual(counts(slotsOf(shares, 0, [])), { a: 1, b: 1 });
    assert.deepEqual(counts(slotsOf(shares, 1000, [])), { c: 1, d: 1 });
    assert.deepEqual(counts(slotsOf(shares.slice(2), 100, [])), { c: 1, d: 1 });
  });

  it('change in few places when one of ten thousand replicas changes', () => {
    const all = Array.from({ length: 10_000 }, (_, index) => share(`r${String(index)}`));
    const before = slotsOf(all, 0, []);
    const after = slotsOf([...all.filter(({ address }) => address !== 'r5'), share('new')], 0, before);
    assert.equal(after.filter((slot, index) => slot !== before[index]).length, 1);
    const fewer = slotsOf(
      all.filter(({ address }) => address !== 'r5'),
      0,
      before,
    );
    assert.equal(fewer.filter((slot, index) => slot !== before[index]).length, 1);
  });

  it('hold the shares of the present replicas and nothing else, whatever was there', () => {
    const shareArbitrary = fc.record({
      address: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      weight: fc.integer({ min: 1, max: 5000 }),
      canary: fc.boolean(),
    });
    const shares = fc.uniqueArray(shareArbitrary, { selector: ({ address }) => address, maxLength: 5 });
    fc.assert(
      fc.property(
        shares,
        fc.integer({ min: 0, max: 1000 }),
        fc.array(fc.constantFrom('a', 'b', 'x', 'y'), { maxLength: 40 }),
        (now, canary, before) => {
          const slots = slotsOf(now, canary, before);
          assert.deepEqual(counts(slots), counts(slotsOf(now, canary, [])));
          assert.ok(slots.length <= 4096 + now.length);
          const isMixed = now.some((each) => each.canary) && now.some((each) => !each.canary);
          const expected = now.filter((each) => !isMixed || (each.canary ? canary > 0 : canary < 1000)).map(({ address }) => address);
          assert.deepEqual(Object.keys(counts(slots)).sort(), [...expected].sort());
        },
      ),
    );
  });
});
