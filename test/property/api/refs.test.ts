// Whatever objects there are and whatever is typed: what it names.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { ShoalError } from '../../../lib/errors.ts';
import { seededIds } from '../../../lib/ids.ts';
import { seededRng } from '../../../lib/rng.ts';
import { serviceByRef } from '../../../manager/api/refs.ts';
import { nameId } from '../../../manager/state/index.ts';
import { Service } from '../../../proto/index.ts';
import { row, stateWith } from '../../support/state-rows.ts';

// Few letters, so that names, ids and their beginnings meet.
const word = (maxLength: number) => fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength });
const services = fc.uniqueArray(fc.record({ id: word(4), name: word(3) }), {
  comparator: (one, other) => one.id === other.id || one.name === other.name,
  maxLength: 8,
});

/** As the rule says it: full id, then name, then a beginning that only one id has. */
function named(known: readonly { readonly id: string; readonly name: string }[], ref: string): string {
  const exact = known.find(({ id }) => id === ref) ?? known.find(({ name }) => name === ref);
  if (exact !== undefined) return exact.id;
  const [first, ...others] = known.filter(({ id }) => id.startsWith(ref));
  if (first === undefined) return 'not_found';
  return others.length === 0 ? first.id : 'invalid_argument';
}

describe('what objects are named by', () => {
  it('is the full id, the name, or the beginning of one id only, in this order', () => {
    fc.assert(
      fc.property(services, word(4), (known, ref) => {
        const state = stateWith(
          ...known.flatMap(({ id, name }) => [
            row('services', id, Service.create({ id, name })),
            row('byName', nameId('service', name), { objectId: id }),
          ]),
        );
        let seen: string;
        try {
          seen = serviceByRef(state, ref).id;
        } catch (error) {
          seen = ShoalError.from(error).code;
        }
        assert.equal(seen, named(known, ref));
      }),
      { numRuns: 500 },
    );
  });

  it('is an id of 25 characters of base36, and no two are the same', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const ids = seededIds(seededRng(seed));
        const made = Array.from({ length: 20 }, () => ids.next());
        for (const id of made) assert.match(id, /^[0-9a-z]{25}$/);
        assert.equal(new Set(made).size, made.length);
      }),
    );
  });
});
