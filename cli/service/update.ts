// `service update`
import type { VerbContext } from '../command-line/verb.ts';
import { registryAuthFor } from '../registry/registry-auth.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { ServiceSpec } from '../../proto/index.ts';
import { changeService, type Edited, editOf } from './change.ts';
import { checkedSpec } from './checked-spec.ts';
import { finishChange, waitTimes } from './finish.ts';
import { tellWarnings } from './warnings.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import { run as rollback } from './rollback.ts';
import type { FlagValues } from './spec/flag-reader.ts';
import { updateSpec, withRegistryAuth } from './spec/service-spec.ts';

/** Prints the service as it was named; progress goes to stderr. */
export async function run(context: VerbContext, [ref = '']: readonly string[], flags: FlagValues & WaitFlags & PlanFlags): Promise<number> {
  const { shell } = context;
  if (flags['rollback'] === true) {
    refuseOtherFlags(flags);
    await rollback(context, [ref], flags);
    return 0;
  }
  const ifVersion = readPlanFlags(flags);
  waitTimes(flags);
  const control = await context.control();
  const edit = async (old: ServiceSpec): Promise<Edited> => {
    const refusal = `the service ${old.name} cannot be updated`;
    const spec = await checkedSpec(context, updateSpec(old, flags, shell), { purpose: 'update', ref, refusal });
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

const WITH_ROLLBACK: ReadonlySet<string> = new Set(['rollback', 'detach', 'quiet', 'timeout', 'verify']);

/** Docker's: a rollback takes the earlier spec as it is. */
function refuseOtherFlags(flags: FlagValues): void {
  const given = Object.entries(flags).filter(([name, value]) => value !== undefined && !WITH_ROLLBACK.has(name));
  if (given.length === 0) return;
  const names = given.map(
    ([name, value]) => `--${value === false ? 'no-' : ''}${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  );
  throw ShoalError.invalid('the service cannot be rolled back', [
    { path: '--rollback', message: `goes back to the earlier spec as it is, and cannot be combined with ${names.join(', ')}` },
  ]);
}
