// One answer for all that is wrong with a change: what its flags cannot mean, and what a manager would refuse of the rest.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';

/** The fields that `check` refuses; what else it throws goes on. */
export function fieldsRefused(check: () => unknown): readonly FieldProblem[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof ShoalError && error.fields.length > 0) return error.fields;
    throw error;
  }
}

/** Rejects with `invalid_argument`. `check` asks a manager without changing anything, and names flags as `own` does; where none answers, `own` is worth telling alone. */
export async function refuseAll(what: string, own: readonly FieldProblem[], check: () => Promise<unknown>): Promise<never> {
  let others: readonly FieldProblem[] = [];
  try {
    await check();
  } catch (thrown) {
    const error = ShoalError.from(thrown);
    if (error.code === 'cancelled') throw error;
    others = error.fields;
  }
  throw ShoalError.invalid(what, [...own, ...others.filter(({ path }) => !own.some((problem) => problem.path === path))]);
}
