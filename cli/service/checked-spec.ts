// One answer for all that is wrong with a service: what its flags cannot mean, and what a manager would refuse of the rest.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import type { VerbContext } from '../command-line/verb.ts';
import type { ServiceSpec } from '../../proto/index.ts';
import { isListFlag, problemsInFlags, type SpecPurpose } from './spec/flag-paths.ts';
import type { SpecDraft } from './spec/service-spec.ts';

export interface SpecCheck {
  readonly purpose: Extract<SpecPurpose, 'create' | 'update'>;
  /** The service to update; empty: a new one. */
  readonly ref: string;
  /** "the service cannot be created" */
  readonly refusal: string;
}

/** Rejects with `invalid_argument` with every wrong flag named: also those that a manager finds, if one can be asked. */
export async function checkedSpec(context: VerbContext, { spec, problems }: SpecDraft, check: SpecCheck): Promise<ServiceSpec> {
  if (problems.length === 0) return spec;
  const others = await managerProblems(context, spec, check);
  throw ShoalError.invalid(check.refusal, [...problems, ...others.filter((other) => !problems.some((own) => isSame(own, other)))]);
}

/** None where no manager answers: what the flags have is worth telling without. */
async function managerProblems(context: VerbContext, spec: ServiceSpec, { purpose, ref }: SpecCheck): Promise<readonly FieldProblem[]> {
  try {
    const control = await context.control();
    const { problems } = await control.read((client, options) => client.checkService({ ref, spec }, options));
    return problemsInFlags(purpose, problems);
  } catch (thrown) {
    const error = ShoalError.from(thrown);
    if (error.code === 'cancelled') throw error;
    return [];
  }
}

/** Both found it. Of a flag that may be given several times, the words tell. */
function isSame(own: FieldProblem, other: FieldProblem): boolean {
  const [flag = ''] = other.path.split(' ');
  if (own.path !== flag) return false;
  return !isListFlag(flag) || other.message.startsWith(own.message) || own.message.startsWith(other.message);
}
