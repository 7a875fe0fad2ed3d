// Whatever a target answers: the verdict is what its last answers say, and no single one turns it alone.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Answer, judge, NO_VERDICT, type Verdict } from '../../../agent/health/verdict.ts';

const answer: fc.Arbitrary<Answer> = fc.oneof(
  fc.constant<Answer>({ kind: 'passed' }),
  fc.constant<Answer>({ kind: 'failed', reason: 'refused' }),
  fc.constant<Answer>({ kind: 'unknown', reason: 'no engine' }),
);
const rules = fc.record({ failures: fc.integer({ min: 1, max: 5 }), successes: fc.integer({ min: 1, max: 5 }) });

/** Said anew from all answers: the last run that was long enough decides. */
function model(answers: readonly Answer[], { failures, successes }: { failures: number; successes: number }): Verdict['state'] {
  const told = answers.filter(({ kind }) => kind !== 'unknown').map(({ kind }) => kind);
  for (let end = told.length; end > 0; end--) {
    const isRun = (kind: Answer['kind'], length: number): boolean =>
      end >= length && told.slice(end - length, end).every((other) => other === kind);
    if (isRun('passed', successes)) return 'passing';
    if (isRun('failed', failures)) return 'failing';
  }
  return 'unknown';
}

describe('the verdict on a probe, whatever is answered', () => {
  it('is what the last run of equal answers says that was long enough', () => {
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 30 }), rules, (answers, rule) => {
        const verdict = answers.reduce((before, each) => judge(before, each, rule), NO_VERDICT);
        assert.equal(verdict.state, model(answers, rule));
      }),
      { numRuns: 2000 },
    );
  });

  it('counts one kind at a time, and gives a reason exactly where something failed since it passed', () => {
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 30 }), rules, (answers, rule) => {
        let verdict = NO_VERDICT;
        for (const each of answers) {
          const next = judge(verdict, each, rule);
          assert.ok(next.successes === 0 || next.failures === 0);
          if (each.kind === 'unknown') assert.equal(next.state, verdict.state);
          if (next.state === 'failing') assert.notEqual(next.reason, '');
          if (each.kind === 'passed' && next.state === 'passing') assert.equal(next.reason, '');
          verdict = next;
        }
      }),
    );
  });
});
