// `service update`
import { parseTimeout } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { registryAuthFor } from '../registry/registry-auth.ts';
import type { ServiceSpec } from '../../proto/index.ts';
import { changeService, type Edited, editOf } from './change.ts';
import { finishChange, tellWarnings } from './finish.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import type { FlagValues } from './spec/flag-reader.ts';
import { updateSpec, withRegistryAuth } from './spec/service-spec.ts';

/** Prints the service as it was named; progress goes to stderr. */
export async function run(context: VerbContext, [ref = '']: readonly string[], flags: FlagValues & WaitFlags & PlanFlags): Promise<number> {
  const { shell } = context;
  const ifVersion = readPlanFlags(flags);
  parseTimeout(flags.timeout);
  const control = await context.control();
  const edit = async (old: ServiceSpec): Promise<Edited> => {
    const spec = updateSpec(old, flags, shell);
    const image = spec.task?.container?.image ?? '';
    const registryAuth = flags['withRegistryAuth'] === true ? await registryAuthFor(image, shell, shell.interrupt()) : '';
    // Docker's: only a new --image is asked for, so that other changes neither wait for a registry nor bring another image.
    const noResolveImage = flags['resolveImage'] === false || flags['image'] === undefined;
    return { spec: withRegistryAuth(spec, registryAuth), registryAuth, noResolveImage };
  };
  if (flags.plan === true)
    return showPlan(context, 'update', flags.format, async () => ({ case: 'update', value: (await editOf(control, ref, edit)).request }));
  const { before, change } = await changeService(control, 'update', ref, edit, ifVersion);
  tellWarnings(context, change);
  shell.out.write(`${ref}\n`);
  await finishChange(context, change, before, flags);
  return 0;
}
