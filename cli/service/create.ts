// `service create`
import { ShoalError } from '../../lib/errors.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { registryAuthFor } from '../registry/registry-auth.ts';
import { checkedSpec } from './checked-spec.ts';
import { finishChange, waitTimes } from './finish.ts';
import { tellWarnings } from './warnings.ts';
import { madeUpName } from './made-up-name.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import type { FlagValues } from './spec/flag-reader.ts';
import { inFlags } from './spec/flag-paths.ts';
import { createSpec, withRegistryAuth } from './spec/service-spec.ts';

/** Prints the new service's id; progress goes to stderr. */
export async function run(
  context: VerbContext,
  [image = '', ...args]: readonly string[],
  flags: FlagValues & WaitFlags & PlanFlags,
): Promise<number> {
  const { shell } = context;
  waitTimes(flags);
  const ifVersion = readPlanFlags(flags);
  if (ifVersion !== undefined && ifVersion.version !== 0)
    throw ShoalError.invalid('wrong flags', [
      {
        path: '--if-version',
        message: `"${String(ifVersion.version)}" is the version of a service that is there; one that is yet to be created has version 0`,
      },
    ]);
  const draft = createSpec(image, args, flags, shell, () => madeUpName(shell.rng));
  const spec = await checkedSpec(context, draft, { purpose: 'create', ref: '', refusal: 'the service cannot be created' });
  const registryAuth = flags['withRegistryAuth'] === true ? await registryAuthFor(image, shell, shell.interrupt()) : '';
  const control = await context.control();
  const request = {
    ...{ spec: withRegistryAuth(spec, registryAuth), registryAuth, noResolveImage: flags['resolveImage'] === false },
    plannedDigest: ifVersion?.digest ?? '',
  };
  if (flags.plan === true) return showPlan(context, 'create', flags.format, () => Promise.resolve({ case: 'create', value: request }));
  const change = await inFlags('create', () => control.write((client, options) => client.createService(request, options)));
  tellWarnings(context, change);
  shell.out.write(`${change.service?.id ?? ''}\n`);
  await finishChange(context, change, undefined, flags);
  return 0;
}
