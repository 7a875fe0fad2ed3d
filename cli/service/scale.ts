// `service scale`
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { ServiceMode, type ServiceSpec } from '../../proto/index.ts';
import { forEach } from '../command-line/each.ts';
import type { Control } from '../client/control.ts';
import { refuseAll } from '../command-line/refusal.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { type ChangedService, changeService, type Edited, editOf } from './change.ts';
import { finishChange, waitTimes } from './finish.ts';
import { tellWarnings } from './warnings.ts';
import { type PlanFlags, readPlanFlags } from './plan/plan-flags.ts';
import { showPlan } from './plan/show.ts';
import type { WaitFlags } from './progress/wait.ts';
import { MAX_REPLICAS } from './spec/service-spec.ts';

interface Scaling {
  readonly ref: string;
  readonly replicas: number;
}

/** All services are changed before the first is waited for, and none where one of the names is wrong. */
export async function run(context: VerbContext, args: readonly string[], flags: WaitFlags & PlanFlags): Promise<number> {
  const { shell } = context;
  const { scalings, problems } = parseScalings(args);
  if (problems.length > 0)
    await refuseAll('cannot scale', problems, async () => refuseNames(await wrongNames(await context.control(), scalings)));
  const ifVersion = readPlanFlags(flags, scalings.length);
  waitTimes(flags);
  const control = await context.control();
  if (scalings.length > 1) refuseNames(await wrongNames(control, scalings));
  if (flags.plan === true) {
    return forEach(shell, scalings, (scaling) =>
      showPlan(context, 'scale', flags.format, async () => {
        const { request } = await editOf(control, scaling.ref, scaled(scaling));
        return { case: 'update', value: request };
      }),
    );
  }
  const changed: ChangedService[] = [];
  const changing = await forEach(shell, scalings, async (scaling) => {
    const { ref, replicas } = scaling;
    const service = await changeService(control, 'scale', ref, scaled(scaling), ifVersion);
    tellWarnings(context, service.change);
    shell.out.write(`${ref} scaled to ${String(replicas)}\n`);
    changed.push(service);
    return 0;
  });
  const waiting = await forEach(shell, changed, async ({ before, change }) => {
    await finishChange(context, change, before, flags);
    return 0;
  });
  return Math.max(changing, waiting);
}

interface WrongName {
  readonly ref: string;
  readonly error: ShoalError;
}

/** What cannot be scaled, and why. Rejects where that cannot be known. */
async function wrongNames(control: Control, scalings: readonly Scaling[]): Promise<readonly WrongName[]> {
  const wrong: WrongName[] = [];
  for (const ref of new Set(scalings.map((scaling) => scaling.ref))) {
    try {
      const { spec } = await control.read((client, options) => client.getService({ ref }, options));
      if (!isScalable(spec?.mode)) throw notScalable(ref);
    } catch (thrown) {
      const error = ShoalError.from(thrown);
      if (!['not_found', 'invalid_argument', 'conflict'].includes(error.code)) throw error;
      wrong.push({ ref, error });
    }
  }
  return wrong;
}

/** Throws all of them at once. */
function refuseNames(wrong: readonly WrongName[]): void {
  const [first] = wrong;
  if (first === undefined) return;
  const fields = wrong.map(({ ref, error }): FieldProblem => ({ path: ref, message: error.message }));
  throw new ShoalError(first.error.code, 'nothing was scaled:', { cause: first.error, fields });
}

function scaled({ ref, replicas }: Scaling): (spec: ServiceSpec) => Promise<Edited> {
  return (spec) => {
    if (!isScalable(spec.mode)) throw notScalable(ref);
    return Promise.resolve({ spec: { ...spec, replicas }, registryAuth: '', noResolveImage: true });
  };
}

/** Of a job these are the completions it takes: it begins anew. */
function isScalable(mode: ServiceMode | undefined): boolean {
  return mode === ServiceMode.REPLICATED || mode === ServiceMode.REPLICATED_JOB;
}

function notScalable(ref: string): ShoalError {
  return new ShoalError('conflict', `${ref} is not replicated: it runs one task on each node and cannot be scaled`);
}

interface Scalings {
  /** Those that name a service. */
  readonly scalings: readonly Scaling[];
  readonly problems: readonly FieldProblem[];
}

function parseScalings(args: readonly string[]): Scalings {
  const problems: FieldProblem[] = [];
  const seen = new Set<string>();
  const scalings = args.flatMap((arg): readonly Scaling[] => {
    const [, ref = '', count = ''] = /^([^=]*)=(.*)$/.exec(arg) ?? [];
    const replicas = Number(count);
    if (ref === '') problems.push({ path: arg, message: 'is not SERVICE=REPLICAS, such as web=3' });
    else if (!/^\d+$/.test(count) || replicas > MAX_REPLICAS)
      problems.push({ path: arg, message: `"${count}" is not a number of replicas from 0 to ${String(MAX_REPLICAS)}` });
    else if (seen.has(ref)) problems.push({ path: arg, message: `${ref} is named twice` });
    seen.add(ref);
    return ref === '' ? [] : [{ ref, replicas }];
  });
  return { scalings, problems };
}
