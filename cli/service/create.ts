// `service create`
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import type { ServiceSpec } from '../../proto/index.ts';
import { fieldsRefused } from '../command-line/refusal.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { registryAuthFor } from '../registry/registry-auth.ts';
import { checkedSpec } from './checked-spec.ts';
import { finishChange, waitTimes } from './finish.ts';
import { tellWarnings } from './warnings.ts';
import { madeUpName } from './made-up-name.ts';
import { type IfVersion, type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import type { FlagValues } from './spec/flag-reader.ts';
import { inFlags } from './spec/flag-paths.ts';
import { createSpec, withRegistryAuth } from './spec/service-spec.ts';

/** Rejects with `invalid_argument` with every wrong flag; `unknown` are some already. */
export function checked(
  context: VerbContext,
  [image = '', ...args]: readonly string[],
  flags: FlagValues & WaitFlags & PlanFlags,
  unknown: readonly FieldProblem[] = [],
): Promise<ServiceSpec> {
  const { shell } = context;
  const draft = createSpec(image, args, flags, shell, () => madeUpName(shell.rng));
  const others = [...fieldsRefused(() => waitTimes(flags)), ...fieldsRefused(() => readCreatePlan(flags))];
  const check = { purpose: 'create', ref: '', refusal: 'the service cannot be created' } as const;
  return checkedSpec(context, { ...draft, problems: [...unknown, ...others, ...draft.problems] }, check);
}

function readCreatePlan(flags: PlanFlags): IfVersion | undefined {
  const ifVersion = readPlanFlags(flags);
  if (ifVersion === undefined || ifVersion.version === 0) return ifVersion;
  const message = `"${String(ifVersion.version)}" is the version of a service that is there; one that is yet to be created has version 0`;
  throw ShoalError.invalid('wrong flags', [{ path: '--if-version', message }]);
}

/** Prints the new service's id; progress goes to stderr. */
export async function run(
  context: VerbContext,
  [image = '', ...args]: readonly string[],
  flags: FlagValues & WaitFlags & PlanFlags,
): Promise<number> {
  const { shell } = context;
  const spec = await checked(context, [image, ...args], flags);
  const ifVersion = readCreatePlan(flags);
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
