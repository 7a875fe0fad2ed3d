import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Rule, rulesOf } from '../../../mesh/http/rules.ts';

const label = fc.constantFrom('a', 'b', 'c');
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const ruleHost = fc.oneof(
  fc.constant(''),
  name,
  name.map((host) => `*.${host}`),
);
const path = fc.array(fc.constantFrom('x', 'y', 'xy', ''), { maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
const rule: fc.Arbitrary<Rule> = fc.record({ host: ruleHost, path });

/** The rule in words: every rule that matches, the best one first. */
function best(rules: readonly Rule[], host: string, target: string): Rule | undefined {
  const trimmed = (text: string): string => text.replace(/\/$/, '');
  const matches = rules.filter((each) => {
    const hostFits =
      each.host === '' ||
      each.host === host ||
      (each.host.startsWith('*.') && host.endsWith(each.host.slice(1)) && host.length > each.host.length - 1);
    return hostFits && (target === trimmed(each.path) || target.startsWith(`${trimmed(each.path)}/`));
  });
  const rank = (each: Rule): number => (each.host === '' ? 0 : each.host.startsWith('*.') ? each.host.length : 1000);
  return matches.sort((a, b) => rank(b) - rank(a) || trimmed(b.path).length - trimmed(a.path).length)[0];
}

describe('rules of an http port', () => {
  it('are matched by host, then by the longest path of whole segments', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(rule, { maxLength: 12, selector: ({ host, path: of }) => `${host} ${of.replace(/\/$/, '')}` }),
        fc.oneof(name, fc.constant('')),
        path,
        (rules, host, target) => {
          const found = rulesOf(rules.map((each) => [each, each] as const)).find(host, target);
          assert.deepEqual(found, best(rules, host, target));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
