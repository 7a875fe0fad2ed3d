// `service update`
import type { VerbContext } from '../command-line/verb.ts';
import { registryAuthFor } from '../registry/registry-auth.ts';
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { CanaryEnd, LogDriver, ServiceMode, ServiceSpec, TaskSpec } from '../../proto/index.ts';
import { fieldsRefused } from '../command-line/refusal.ts';
import type { Shell } from '../shell.ts';
import { EMPTY_CONTAINER } from './spec/container.ts';
import type { EnvironmentSource } from './spec/key-values.ts';
import { changeService, type Edited, editOf } from './change.ts';
import { checkedSpec } from './checked-spec.ts';
import { endCanary } from './end-canary.ts';
import { finishChange, waitTimes } from './finish.ts';
import { tellWarnings } from './warnings.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import { run as rollback } from './rollback.ts';
import { readCanaryWish } from './spec/canary.ts';
import type { FlagValues } from './spec/flag-reader.ts';
import { updateSpec, withRegistryAuth } from './spec/service-spec.ts';

/** Prints the service as it was named; progress goes to stderr. */
export async function run(context: VerbContext, [ref = '']: readonly string[], flags: FlagValues & WaitFlags & PlanFlags): Promise<number> {
  const { shell } = context;
  if (flags['rollback'] === true) {
    refuseOtherFlags(flags, 'rollback', 'goes back to the earlier spec as it is');
    return rollback(context, [ref], flags);
  }
  for (const [flag, end] of ENDS) {
    if (flags[flag] !== true) continue;
    refuseOtherFlags(flags, flag, 'ends the canary that is on');
    await endCanary(context, ref, end, flags);
    return 0;
  }
  const canary = readCanaryWish(flags);
  const others = [...fieldsRefused(() => readPlanFlags(flags)), ...fieldsRefused(() => waitTimes(flags))];
  const ifVersion = others.length > 0 ? undefined : readPlanFlags(flags);
  const control = await context.control();
  const edit = async (old: ServiceSpec): Promise<Edited> => {
    const refusal = `the service ${old.name} cannot be updated`;
    const draft = updateSpec(old, flags, shell);
    const problems = [...others, ...draft.problems, ...canary.problems];
    const spec = await checkedSpec(context, { ...draft, problems }, { purpose: 'update', ref, refusal });
    const image = spec.task?.container?.image ?? '';
    const registryAuth = flags['withRegistryAuth'] === true ? await registryAuthFor(image, shell, shell.interrupt()) : '';
    // Docker's: only a new --image is asked for, so that other changes neither wait for a registry nor bring another image.
    const noResolveImage = flags['resolveImage'] === false || flags['image'] === undefined;
    return { spec: withRegistryAuth(spec, registryAuth), registryAuth, noResolveImage, canary: canary.wish };
  };
  if (flags.plan === true) {
    const edited = () => editOf(control, ref, edit).catch((error: unknown) => refuseWithFlags(error, ref, flags, shell));
    return showPlan(context, 'update', flags.format, async () => ({ case: 'update', value: (await edited()).request }));
  }
  const { before, change } = await changeService(control, 'update', ref, edit, ifVersion).catch((error: unknown) =>
    refuseWithFlags(error, ref, flags, shell),
  );
  tellWarnings(context, change);
  shell.out.write(`${ref}\n`);
  await finishChange(context, change, before, flags);
  return 0;
}

/** Where there is no such service, its flags may be wrong as well. */
function refuseWithFlags(thrown: unknown, ref: string, flags: FlagValues & WaitFlags & PlanFlags, shell: Shell): never {
  const error = ShoalError.from(thrown);
  const problems = error.code === 'not_found' ? wrongForAny(flags, shell) : [];
  if (problems.length === 0) throw error;
  throw ShoalError.invalid(`the service ${ref} cannot be updated`, [{ path: ref, message: error.message }, ...problems]);
}

/** What is wrong with the flags whatever the service is. */
export function wrongForAny(flags: FlagValues & WaitFlags & PlanFlags, source: EnvironmentSource): readonly FieldProblem[] {
  const [service, job] = [ServiceMode.REPLICATED, ServiceMode.REPLICATED_JOB].map(
    (mode) => updateSpec(someService(mode), flags, source).problems,
  );
  return [
    ...(service ?? []).filter((problem) => job?.some(({ path, message }) => path === problem.path && message === problem.message)),
    ...fieldsRefused(() => readPlanFlags(flags)),
    ...fieldsRefused(() => waitTimes(flags)),
    ...readCanaryWish(flags).problems,
  ];
}

function someService(mode: ServiceMode): ServiceSpec {
  // A driver, which options on their own need, has one of the two.
  const logDriver = mode === ServiceMode.REPLICATED ? undefined : LogDriver.create({ name: 'any' });
  return ServiceSpec.create({ mode, task: TaskSpec.create({ container: { ...EMPTY_CONTAINER, image: 'any' }, logDriver }) });
}

const ENDS = [
  ['promote', CanaryEnd.CANARY_PROMOTE],
  ['abort', CanaryEnd.CANARY_ABORT],
] as const;

const ALWAYS: ReadonlySet<string> = new Set(['detach', 'quiet', 'timeout', 'verify', 'ifVersion']);
const OF_A_PLAN: ReadonlySet<string> = new Set(['plan', 'format']);

/** What is brought to its end is a spec that is there already, as it is. */
function refuseOtherFlags(flags: FlagValues, flag: string, what: string): void {
  const isAllowed = (name: string): boolean => name === flag || ALWAYS.has(name) || (flag === 'rollback' && OF_A_PLAN.has(name));
  const given = Object.entries(flags).filter(([name, value]) => value !== undefined && !isAllowed(name));
  if (given.length === 0) return;
  const names = given.map(
    ([name, value]) => `--${value === false ? 'no-' : ''}${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  );
  throw ShoalError.invalid(`the service cannot be ${flag === 'rollback' ? 'rolled back' : 'updated'}`, [
    { path: `--${flag}`, message: `${what}, and cannot be combined with ${names.join(', ')}` },
  ]);
}
