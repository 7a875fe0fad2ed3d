// `service rm`
import { forEach } from '../command-line/each.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';

export async function run(context: VerbContext, refs: readonly string[], flags: Pick<PlanFlags, 'ifVersion'>): Promise<number> {
  const ifVersion = readPlanFlags(flags, refs.length);
  const control = await context.control();
  return forEach(context.shell, refs, async (ref) => {
    await control.write((client, options) => client.removeService({ ref, version: ifVersion?.version ?? 0 }, options));
    context.shell.out.write(`${ref}\n`);
    return 0;
  });
}
