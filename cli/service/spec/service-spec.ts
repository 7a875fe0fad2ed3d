// From flags to a service's spec. Creating is changing an empty spec, so that both verbs share every rule.
import type { FieldProblem } from '../../../lib/errors.ts';
import { LogDriver, OnReturn, ServiceMode, ServiceSpec, TaskSpec } from '../../../proto/index.ts';
import { LATER_FLAGS } from '../later-flags.ts';
import { applyContainer, EMPTY_CONTAINER } from './container.ts';
import { type FlagReader, flagReader, type FlagValues } from './flag-reader.ts';
import { applyLabels, type EnvironmentSource, parseRecord } from './key-values.ts';
import { applyPlacement } from './placement.ts';
import { applyRestart, applyUpdateConfig } from './policies.ts';
import { applyPorts } from './ports.ts';
import { applyResources } from './resources.ts';

const DEFAULT_DRAIN_PERIOD_MS = 10_000;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
const LATER_MODES = {
  'replicated-job': 'jobs come with a later version; use replicated or global',
  'global-job': 'jobs come with a later version; use replicated or global',
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
  const mode =
    flags.choice('mode', { replicated: ServiceMode.REPLICATED, global: ServiceMode.GLOBAL }, LATER_MODES) ?? ServiceMode.REPLICATED;
  const empty = ServiceSpec.create({
    name,
    mode,
    replicas: mode === ServiceMode.REPLICATED ? 1 : 0,
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

function applyFlags(before: ServiceSpec, flags: FlagReader, source: EnvironmentSource): ServiceSpec {
  refuseLaterFlags(flags);
  const ports = applyPorts(before, flags);
  return {
    ...before,
    labels: applyLabels(before.labels, 'label', flags),
    replicas: replicas(before, flags),
    task: applyTask(before.task ?? TaskSpec.create(), flags, source),
    update: applyUpdateConfig(before.update, 'update', flags),
    rollback: applyUpdateConfig(before.rollback, 'rollback', flags),
    ports,
    drainPeriodMs: flags.durationMs('drain-period') ?? before.drainPeriodMs,
    specHistoryLimit: flags.count('spec-history-limit') ?? before.specHistoryLimit,
    onReturn: flags.choice('on-return', ON_RETURN) ?? before.onReturn,
  };
}

function replicas(before: ServiceSpec, flags: FlagReader): number {
  const given = flags.count('replicas', { max: 1_000_000 });
  if (given !== undefined && before.mode !== ServiceMode.REPLICATED)
    flags.problem('--replicas', 'a global service runs one task on each node; replicas are for the mode replicated');
  return given ?? before.replicas;
}

function applyTask(before: TaskSpec, flags: FlagReader, source: EnvironmentSource): TaskSpec {
  const portCheck = flags.toggle('port-check');
  return {
    ...before,
    container: applyContainer(before.container ?? EMPTY_CONTAINER, flags, source),
    ...applyResources(before, flags),
    restart: applyRestart(before.restart, flags),
    placement: applyPlacement(before.placement, flags),
    logDriver: applyLogDriver(before.logDriver, flags),
    forceUpdate: before.forceUpdate + (flags.toggle('force') === true ? 1 : 0),
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
