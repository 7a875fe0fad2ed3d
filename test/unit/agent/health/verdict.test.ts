import assert from 'node:assert/strict';
import { judge, NO_VERDICT, type Answer } from '../../../../agent/health/verdict.ts';

const RULES = { failures: 3, successes: 2 };
const PASSED: Answer = { kind: 'passed' };
const FAILED: Answer = { kind: 'failed', reason: 'refused' };
const UNKNOWN: Answer = { kind: 'unknown', reason: 'no engine' };

function states(...answers: readonly Answer[]): readonly string[] {
  let verdict = NO_VERDICT;
  return answers.map((answer) => {
    verdict = judge(verdict, answer, RULES);
    return verdict.state;
  });
}

describe('the verdict on a probe', () => {
  it('passes after as many successes in a row as the rules want', () => {
    assert.deepEqual(states(PASSED, FAILED, PASSED, PASSED), ['unknown', 'unknown', 'unknown', 'passing']);
  });

  it('fails after as many failures in a row, and comes back', () => {
    assert.deepEqual(states(PASSED, PASSED, FAILED, FAILED, PASSED, FAILED, FAILED, FAILED, PASSED, PASSED), [
      'unknown',
      'passing',
      'passing',
      'passing',
      'passing',
      'passing',
      'passing',
      'failing',
      'failing',
      'passing',
    ]);
  });

  it('takes what cannot be asked for neither', () => {
    assert.deepEqual(states(PASSED, PASSED, FAILED, FAILED, UNKNOWN, FAILED), [
      'unknown',
      'passing',
      'passing',
      'passing',
      'passing',
      'failing',
    ]);
  });

  it('keeps the reason of the last failure until it passes', () => {
    const failed = judge(NO_VERDICT, FAILED, RULES);
    const half = judge(failed, PASSED, RULES);
    assert.equal(half.reason, 'refused');
    assert.equal(judge(half, PASSED, RULES).reason, '');
  });
});
