// From flags to a service's spec. Creating is changing an empty spec, so that both verbs share every rule.
import type { FieldProblem } from '../../../lib/errors.ts';
import { LogDriver, OnReturn, RebalancePolicy, ServiceMode, ServiceSpec, TaskSpec, type UpdateConfig } from '../../../proto/index.ts';
import { isJobMode } from '../../format/service.ts';
import { LATER_FLAGS } from '../later-flags.ts';
import { applyContainer, EMPTY_CONTAINER } from './container.ts';
import { type FlagReader, flagReader, type FlagValues } from './flag-reader.ts';
import { applyGenericResources } from './generic-resources.ts';
import { applyJob } from './job.ts';
import { applyLabels, type EnvironmentSource, parseRecord } from './key-values.ts';
import { applyPlacement } from './placement.ts';
import { applyRestart, applyUpdateConfig, refuseUpdateConfig } from './policies.ts';
import { applyPorts } from './ports.ts';
import { applyProbes } from './probes.ts';
import { applyResources } from './resources.ts';

const DEFAULT_DRAIN_PERIOD_MS = 10_000;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
const MODES = {
  replicated: ServiceMode.REPLICATED,
  global: ServiceMode.GLOBAL,
  'replicated-job': ServiceMode.REPLICATED_JOB,
  'global-job': ServiceMode.GLOBAL_JOB,
};

/** What the flags make of a spec; where there are problems, without the flags that are wrong. */
export interface SpecDraft {
  readonly spec: ServiceSpec;
  readonly problems: readonly FieldProblem[];
}

export function createSpec(
  image: string,
  args: readonly string[],
  values: FlagValues,
  source: EnvironmentSource,
  makeName: () => string,
): SpecDraft {
  const flags = flagReader(values, 'create');
  const name = flags.text('name') ?? makeName();
  if (!NAME.test(name))
    flags.problem('--name', `"${name}" is not a name: up to 63 letters, digits, "_", "." and "-", beginning with a letter or digit`);
  const mode = flags.choice('mode', MODES) ?? ServiceMode.REPLICATED;
  const empty = ServiceSpec.create({
    name,
    mode,
    replicas: hasReplicas(mode) ? 1 : 0,
    drainPeriodMs: DEFAULT_DRAIN_PERIOD_MS,
    task: TaskSpec.create({ container: { ...EMPTY_CONTAINER, image, args } }),
  });
  return { spec: applyFlags(empty, flags, source), problems: flags.problems };
}

export function updateSpec(before: ServiceSpec, values: FlagValues, source: EnvironmentSource): SpecDraft {
  const flags = flagReader(values, 'update');
  return { spec: applyFlags(before, flags, source), problems: flags.problems };
}

const ON_RETURN = { 'keep-new': OnReturn.KEEP_NEW, 'keep-old': OnReturn.KEEP_OLD };
/** More a manager does not take. */
export const MAX_REPLICAS = 100_000;
const REBALANCE = { manual: RebalancePolicy.REBALANCE_MANUAL, auto: RebalancePolicy.REBALANCE_AUTO };

function applyFlags(before: ServiceSpec, flags: FlagReader, source: EnvironmentSource): ServiceSpec {
  refuseLaterFlags(flags);
  const ports = applyPorts(before, flags);
  return {
    ...before,
    labels: applyLabels(before.labels, 'label', flags),
    replicas: replicas(before, flags),
    task: applyTask(before.task ?? TaskSpec.create(), flags, source),
    job: applyJob(before, flags),
    update: rollout(before, 'update', flags),
    rollback: rollout(before, 'rollback', flags),
    ports,
    drainPeriodMs: flags.durationMs('drain-period') ?? before.drainPeriodMs,
    specHistoryLimit: flags.count('spec-history-limit') ?? before.specHistoryLimit,
    rebalance: flags.choice('rebalance', REBALANCE) ?? before.rebalance,
    onReturn: flags.choice('on-return', ON_RETURN) ?? before.onReturn,
  };
}

function rollout(before: ServiceSpec, kind: 'update' | 'rollback', flags: FlagReader): UpdateConfig | undefined {
  if (!isJobMode(before.mode)) return applyUpdateConfig(before[kind], kind, flags);
  refuseUpdateConfig(kind, flags);
  return undefined;
}

function replicas(before: ServiceSpec, flags: FlagReader): number {
  const given = flags.count('replicas', { max: MAX_REPLICAS });
  if (given !== undefined && !hasReplicas(before.mode))
    flags.problem(
      '--replicas',
      `${String(given)} is not taken: a global service runs one task on each node; replicas are for the mode replicated`,
    );
  return given ?? before.replicas;
}

/** Of a job: completions that it takes. */
function hasReplicas(mode: ServiceMode): boolean {
  return mode === ServiceMode.REPLICATED || mode === ServiceMode.REPLICATED_JOB;
}

function applyTask(before: TaskSpec, flags: FlagReader, source: EnvironmentSource): TaskSpec {
  const portCheck = flags.toggle('port-check');
  return {
    ...before,
    container: applyContainer(before.container ?? EMPTY_CONTAINER, flags, source),
    ...applyResources(before, flags),
    genericReservations: applyGenericResources(before.genericReservations, flags),
    restart: applyRestart(before.restart, flags),
    placement: applyPlacement(before.placement, flags),
    logDriver: applyLogDriver(before.logDriver, flags),
    forceUpdate: before.forceUpdate + (flags.toggle('force') === true ? 1 : 0),
    probes: applyProbes(before.probes, flags),
    noPortCheck: portCheck === undefined ? before.noPortCheck : !portCheck,
  };
}

/** A driver given replaces the one before with its options; options alone are put into those there are. */
function applyLogDriver(before: LogDriver | undefined, flags: FlagReader): LogDriver | undefined {
  const name = flags.text('log-driver');
  const given = flags.list('log-opt');
  const options = parseRecord(given, flags);
  if (name !== undefined) return name === '' ? undefined : LogDriver.create({ name, options });
  if (given.values.length === 0) return before;
  if (before === undefined) {
    flags.problem('--log-opt', 'needs --log-driver: each driver has options of its own');
    return undefined;
  }
  return { ...before, options: { ...before.options, ...options } };
}

function refuseLaterFlags(flags: FlagReader): void {
  for (const { flag, takesValue, why } of LATER_FLAGS) {
    const given = takesValue ? flags.list(flag).values.length > 0 : flags.toggle(flag) === true;
    if (given) flags.problem(`--${flag}`, `is not there yet: ${why}`);
  }
}

/** The login goes to the nodes with the spec; an empty one leaves what is there. */
export function withRegistryAuth(spec: ServiceSpec, registryAuth: string): ServiceSpec {
  if (registryAuth === '' || spec.task?.container === undefined) return spec;
  return { ...spec, task: { ...spec.task, container: { ...spec.task.container, registryAuth } } };
}
