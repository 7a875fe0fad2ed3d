// Asks for plans and shows them. The exit code tells scripts: 0 nothing would change, 1 something would, above it went wrong.
import type { PlanServiceRequest } from '../../../proto/index.ts';
import type { VerbContext } from '../../command-line/verb.ts';
import { reportError } from '../../error-report.ts';
import { inFlags, type SpecPurpose } from '../spec/flag-paths.ts';
import { tellWarnings } from '../warnings.ts';
import { changesNothing, planRenderer } from './render.ts';

const CHANGES = 1;
const LEAST_ERROR = 2;

/** `make` may throw, as the change itself would. Resolves to the exit code. */
export async function showPlan(
  context: VerbContext,
  purpose: SpecPurpose,
  format: string | undefined,
  make: () => Promise<NonNullable<PlanServiceRequest['change']>>,
): Promise<number> {
  const { shell } = context;
  try {
    const render = planRenderer(format);
    const change = await make();
    const control = await context.control();
    const plan = await inFlags(purpose, () => control.read((client, options) => client.planService({ change }, options)));
    tellWarnings(context, plan);
    shell.out.write(render(plan));
    return changesNothing(plan) ? 0 : CHANGES;
  } catch (error) {
    return Math.max(LEAST_ERROR, reportError(shell, error));
  }
}
