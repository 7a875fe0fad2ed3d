// Constraints against a reference that knows what each part was made of.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { matchesConstraint, parseConstraint } from '../../../manager/constraint/index.ts';
import { makeNode } from '../../support/placement.ts';

const KEYS = ['a', 'b'] as const;
const VALUES = ['x', 'Y', 'x y', 'a||b', 'p,q', '(z)'] as const;

interface MadeTerm {
  readonly key: string;
  readonly operator: '==' | '!=' | 'in' | 'notin' | 'exists';
  readonly values: readonly string[];
  readonly blank: string;
}

const term: fc.Arbitrary<MadeTerm> = fc.record({
  key: fc.constantFrom(...KEYS),
  operator: fc.constantFrom('==', '!=', 'in', 'notin', 'exists'),
  values: fc.array(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 3 }),
  blank: fc.constantFrom('', ' ', '  '),
});

function written({ key, operator, values, blank }: MadeTerm): string {
  const quoted = values.map((value) => (/[|,()]/.test(value) ? `"${value}"` : value));
  const name = `node.labels.${key}`;
  if (operator === 'exists') return `${blank}${name} exists${blank}`;
  if (operator === '==' || operator === '!=') return `${name}${blank}${operator}${blank}${quoted[0] ?? ''}${blank}`;
  return `${name} ${operator}${blank}(${quoted.join(`${blank},${blank}`)})${blank}`;
}

function holds({ key, operator, values }: MadeTerm, labels: Readonly<Record<string, string>>): boolean {
  const actual = labels[key];
  const asked = operator === '==' || operator === '!=' ? values.slice(0, 1) : values;
  const isOne = actual !== undefined && asked.some((value) => value.toLowerCase() === actual.toLowerCase());
  if (operator === 'exists') return actual !== undefined;
  return operator === '==' || operator === 'in' ? isOne : !isOne;
}

describe('constraints', () => {
  it('mean what their parts mean, however they are written', () => {
    const labels = fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES));
    fc.assert(
      fc.property(fc.array(term, { minLength: 1, maxLength: 4 }), labels, (terms, record) => {
        const text = terms.map(written).join('||');
        const parsed = parseConstraint(text);
        assert.ok(parsed.ok, parsed.ok ? '' : parsed.problem);
        const { node, status } = makeNode({ id: 'n', labels: record });
        assert.equal(
          matchesConstraint(parsed.constraint, node, status),
          terms.some((one) => holds(one, record)),
          text,
        );
      }),
      { numRuns: 500 },
    );
  });

  it('are refused with a position within them, never with a failure of the parser', () => {
    const pieces = fc.constantFrom(
      'node.role',
      'node.ip',
      'node.labels.',
      ' ',
      '=',
      '==',
      '!=',
      'in',
      'exists',
      '(',
      ')',
      ',',
      '||',
      '"',
      'x',
      '1',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 10 }), (parts) => {
        const text = parts.join('');
        const parsed = parseConstraint(text);
        if (parsed.ok) return;
        const position = Number(/at character (\d+) of/.exec(parsed.problem)?.[1]);
        assert.ok(position >= 1 && position <= text.length + 1, parsed.problem);
      }),
      { numRuns: 1000 },
    );
  });
});
