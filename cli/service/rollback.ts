// `service rollback`, and `service update --rollback`
import { ShoalError } from '../../lib/errors.ts';
import type { RollbackServiceRequest, ServiceView } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { finishChange, waitTimes } from './finish.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import { tellWarnings } from './warnings.ts';
import type { WaitFlags } from './progress/wait.ts';

/** Prints the service as it was named; progress goes to stderr. */
export async function run(
  context: VerbContext,
  [ref = '']: readonly string[],
  flags: { readonly to?: string } & WaitFlags & PlanFlags,
): Promise<number> {
  const ifVersion = readPlanFlags(flags);
  waitTimes(flags);
  const toSpecNumber = flags.to === undefined ? 0 : parseSpecNumber('--to', flags.to);
  const control = await context.control();
  const read = (): Promise<ServiceView> => control.read((client, options) => client.getService({ ref }, options));
  const requestFor = ({ id, version }: ServiceView): RollbackServiceRequest => ({
    ...{ ref: id, version: ifVersion?.version ?? version },
    ...{ toSpecNumber, plannedDigest: ifVersion?.digest ?? '' },
  });
  if (flags.plan === true)
    return showPlan(context, 'update', flags.format, async () => ({ case: 'rollback', value: requestFor(await read()) }));
  const before = await read();
  const request = requestFor(before);
  const change = await control.write((client, options) => client.rollbackService(request, options));
  tellWarnings(context, change);
  context.shell.out.write(`${ref}\n`);
  await finishChange(context, change, before, flags, true);
  return 0;
}

const MAX_SPEC_NUMBER = 2 ** 32 - 1;

/** Throws `invalid_argument`. */
export function parseSpecNumber(flag: string, text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number > 0 && number <= MAX_SPEC_NUMBER) return number;
  throw ShoalError.invalid('wrong spec', [
    { path: flag, message: `"${text}" is not the number of a spec; \`service history\` lists them` },
  ]);
}
