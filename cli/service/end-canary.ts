// `service update --promote` and `service update --abort`
import type { VerbContext } from '../command-line/verb.ts';
import { CanaryEnd } from '../../proto/index.ts';
import { finishChange, waitTimes } from './finish.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import type { WaitFlags } from './progress/wait.ts';
import { tellWarnings } from './warnings.ts';

/** Prints the service as it was named; progress goes to stderr. Rejects with `conflict` where no canary is on. */
export async function endCanary(context: VerbContext, ref: string, end: CanaryEnd, flags: WaitFlags & PlanFlags): Promise<void> {
  waitTimes(flags);
  const ifVersion = readPlanFlags(flags);
  const control = await context.control();
  const before = await control.read((client, options) => client.getService({ ref }, options));
  const request = { ref: before.id, version: ifVersion?.version ?? before.version, end };
  const change = await control.write((client, options) => client.endCanary(request, options));
  tellWarnings(context, change);
  context.shell.out.write(`${ref}\n`);
  await finishChange(context, change, before, flags, end === CanaryEnd.CANARY_ABORT);
}
