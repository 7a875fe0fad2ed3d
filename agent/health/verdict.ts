// What a row of answers means: a pure machine. One answer alone says nothing; as many in a row as the rules name turn the verdict.
import type { ProbeRules } from './rules.ts';

/** `unknown`: the target could not be asked (the engine does not answer, say), which tells nothing of the target. */
export type Answer = { readonly kind: 'passed' } | { readonly kind: 'failed' | 'unknown'; readonly reason: string };

export interface Verdict {
  /** `unknown`: not enough answers yet. */
  readonly state: 'unknown' | 'passing' | 'failing';
  /** In a row, up to now; one of the two is 0. */
  readonly successes: number;
  readonly failures: number;
  /** Of the last failure; empty once it passed. */
  readonly reason: string;
}

export const NO_VERDICT: Verdict = { state: 'unknown', successes: 0, failures: 0, reason: '' };

export function judge(before: Verdict, answer: Answer, rules: Pick<ProbeRules, 'failures' | 'successes'>): Verdict {
  switch (answer.kind) {
    case 'unknown':
      return before.state === 'passing' ? before : { ...before, reason: answer.reason };
    case 'passed': {
      const successes = before.successes + 1;
      const state = successes >= rules.successes ? 'passing' : before.state;
      return { state, successes, failures: 0, reason: state === 'passing' ? '' : before.reason };
    }
    case 'failed': {
      const failures = before.failures + 1;
      return { state: failures >= rules.failures ? 'failing' : before.state, successes: 0, failures, reason: answer.reason };
    }
  }
}
