// key=value words of a transcript -> changes of a service's spec.
import assert from 'node:assert/strict';
import { parseDurationMs } from '../../../lib/units.ts';
import {
  type Affinity,
  FailureAction,
  JobMissed,
  JobOverlap,
  JobSchedule,
  JobSpec,
  Mount,
  MountType,
  OnReturn,
  PortMode,
  PortSpec,
  RebalancePolicy,
  RestartCondition,
  RestartPolicy,
  ServiceMode,
  type ServiceSpec,
  TaskSpec,
  type TaskSpec as Task,
  UpdateConfig,
  UpdateOrder,
} from '../../../proto/index.ts';
import { taskSpec } from '../placement.ts';
import { specOf } from '../service-specs.ts';

type Change = (spec: ServiceSpec, value: string) => ServiceSpec;

const ACTIONS = { pause: FailureAction.FAILURE_PAUSE, continue: FailureAction.FAILURE_CONTINUE, rollback: FailureAction.FAILURE_ROLLBACK };
const ORDERS = { auto: UpdateOrder.AUTO, 'stop-first': UpdateOrder.STOP_FIRST, 'start-first': UpdateOrder.START_FIRST };
const CONDITIONS = { any: RestartCondition.ANY, 'on-failure': RestartCondition.ON_FAILURE, none: RestartCondition.NONE };

const MODES = {
  replicated: ServiceMode.REPLICATED,
  global: ServiceMode.GLOBAL,
  'replicated-job': ServiceMode.REPLICATED_JOB,
  'global-job': ServiceMode.GLOBAL_JOB,
};
const OVERLAPS = { allow: JobOverlap.OVERLAP_ALLOW, forbid: JobOverlap.OVERLAP_FORBID, replace: JobOverlap.OVERLAP_REPLACE };
const REBALANCE = { manual: RebalancePolicy.REBALANCE_MANUAL, auto: RebalancePolicy.REBALANCE_AUTO };
const MISSED = { 'run-once': JobMissed.MISSED_RUN_ONCE, skip: JobMissed.MISSED_SKIP };

const RETURNS = { 'keep-new': OnReturn.KEEP_NEW, 'keep-old': OnReturn.KEEP_OLD };

const CHANGES: Readonly<Record<string, Change>> = {
  replicas: (spec, value) => ({ ...spec, replicas: Number(value) }),
  mode: (spec, value) => inMode(spec, oneOf(MODES, value)),
  image: (spec, image) => withContainer(spec, { image }),
  login: (spec, registryAuth) => withContainer(spec, { registryAuth }),
  mount: (spec, source) => withContainer(spec, { mounts: [Mount.create({ type: MountType.VOLUME, source, target: '/data' })] }),
  label: (spec, value) => ({ ...spec, labels: { label: value } }),
  publish: (spec, value) => ({ ...spec, ports: portsOf(value, PortMode.INGRESS) }),
  'host-port': (spec, value) => ({ ...spec, ports: portsOf(value, PortMode.HOST) }),
  cpus: (spec, value) => withTask(spec, { reservations: { nanoCpus: Number(value) * 1e9, memoryBytes: 0, pids: 0 } }),
  // constraint=node.labels.disk_in_(ssd,nvme)
  constraint: (spec, value) =>
    withTask(spec, { placement: { ...placementOf(spec), constraints: value === '' ? [] : [value.replaceAll('_', ' ')] } }),
  // "spread=node.labels.dc": one level; "affinity=service:db,50" with its weight
  spread: (spec, value) => withTask(spec, { placement: { ...placementOf(spec), spread: [value] } }),
  affinity: (spec, value) => withTask(spec, { placement: { ...placementOf(spec), affinities: [affinityOf(value)] } }),
  priority: (spec, value) => withTask(spec, { placement: { ...placementOf(spec), priority: Number(value) } }),
  arch: (spec, arch) => withTask(spec, { placement: { ...placementOf(spec), platforms: [{ os: 'linux', arch }] } }),
  gpu: (spec, value) => withTask(spec, { genericReservations: [{ kind: 'gpu', count: Number(value), names: [] }] }),
  'on-return': (spec, value) => ({ ...spec, onReturn: oneOf(RETURNS, value) }),
  'drain-period': (spec, value) => ({ ...spec, drainPeriodMs: durationOf(value) }),
  name: (spec, name) => ({ ...spec, name }),
  'max-per-node': (spec, value) => withTask(spec, { placement: { ...placementOf(spec), maxReplicasPerNode: Number(value) } }),
  force: (spec) => withTask(spec, { forceUpdate: (spec.task?.forceUpdate ?? 0) + 1 }),
  rebalance: (spec, value) => ({ ...spec, rebalance: oneOf(REBALANCE, value) }),
  history: (spec, value) => ({ ...spec, specHistoryLimit: Number(value) }),
  'restart.condition': (spec, value) => withRestart(spec, { condition: oneOf(CONDITIONS, value) }),
  'restart.delay': (spec, value) => withRestart(spec, { delayMs: durationOf(value) }),
  'restart.attempts': (spec, value) => withRestart(spec, { maxAttempts: Number(value) }),
  'restart.window': (spec, value) => withRestart(spec, { windowMs: durationOf(value) }),
  'max-concurrent': (spec, value) => withJob(spec, { maxConcurrent: Number(value) }),
  deadline: (spec, value) => withJob(spec, { deadlineMs: durationOf(value) }),
  ttl: (spec, value) => withJob(spec, { ttlMs: durationOf(value) }),
  runs: (spec, value) => withJob(spec, { historyLimit: Number(value) }),
  // schedule=0_3_*_*_*; empty: none any more
  schedule: (spec, value) =>
    value === '' ? withJob(spec, { schedule: undefined }) : withSchedule(spec, { cron: value.replaceAll('_', ' ') }),
  timezone: (spec, timezone) => withSchedule(spec, { timezone }),
  overlap: (spec, value) => withSchedule(spec, { overlap: oneOf(OVERLAPS, value) }),
  missed: (spec, value) => withSchedule(spec, { missed: oneOf(MISSED, value) }),
  paused: (spec, value) => withSchedule(spec, { paused: value === 'yes' }),
  ...rollout('update'),
  ...rollout('rollback'),
};

/** A job has no settings of updates, and one completion unless told otherwise. */
function inMode(spec: ServiceSpec, mode: ServiceMode): ServiceSpec {
  if (mode === ServiceMode.REPLICATED || mode === ServiceMode.GLOBAL) return { ...spec, mode, replicas: 0 };
  return { ...spec, mode, replicas: mode === ServiceMode.GLOBAL_JOB ? 0 : 1, update: undefined, rollback: undefined };
}

function withJob(spec: ServiceSpec, changes: Partial<JobSpec>): ServiceSpec {
  return { ...spec, job: { ...(spec.job ?? JobSpec.create()), ...changes } };
}

function withSchedule(spec: ServiceSpec, changes: Partial<JobSchedule>): ServiceSpec {
  return withJob(spec, { schedule: { ...(spec.job?.schedule ?? JobSchedule.create()), ...changes } });
}

function rollout(kind: 'update' | 'rollback'): Readonly<Record<string, Change>> {
  const change =
    (make: (value: string) => Partial<UpdateConfig>): Change =>
    (spec, value) => ({ ...spec, [kind]: { ...(spec[kind] ?? UpdateConfig.create()), ...make(value) } });
  return {
    [`${kind}.parallelism`]: change((value) => ({ parallelism: Number(value) })),
    [`${kind}.delay`]: change((value) => ({ delayMs: durationOf(value) })),
    [`${kind}.monitor`]: change((value) => ({ monitorMs: durationOf(value) })),
    [`${kind}.action`]: change((value) => ({ failureAction: oneOf(ACTIONS, value) })),
    [`${kind}.ratio`]: change((value) => ({ maxFailureRatio: Number(value) })),
    [`${kind}.order`]: change((value) => ({ order: oneOf(ORDERS, value) })),
    [`${kind}.deadline`]: change((value) => ({ progressDeadlineMs: durationOf(value) })),
  };
}

/** With Docker's defaults for updates, and image v1. */
export function emptySpec(name: string): ServiceSpec {
  const defaults = UpdateConfig.create({ parallelism: 1, monitorMs: 5000 });
  return specOf({ spec: { name, replicas: 1, task: taskSpec({ image: 'v1' }), update: defaults, rollback: defaults } });
}

export function changedBy(spec: ServiceSpec, words: readonly string[]): ServiceSpec {
  return words.reduce((changed, word) => {
    const [, key = '', value = ''] = /^([^=]+)=?(.*)$/.exec(word) ?? [];
    const change = CHANGES[key] ?? assert.fail(`"${key}" is not one of ${Object.keys(CHANGES).join(', ')}`);
    return change(changed, value);
  }, spec);
}

export function durationOf(text: string): number {
  return parseDurationMs(text) ?? assert.fail(`"${text}" is not a duration`);
}

function withTask(spec: ServiceSpec, changes: Partial<Task>): ServiceSpec {
  return { ...spec, task: { ...(spec.task ?? TaskSpec.create()), ...changes } };
}

function withContainer(spec: ServiceSpec, changes: Partial<NonNullable<Task['container']>>): ServiceSpec {
  return withTask(spec, { container: spec.task?.container && { ...spec.task.container, ...changes } });
}

function withRestart(spec: ServiceSpec, changes: Partial<RestartPolicy>): ServiceSpec {
  return withTask(spec, { restart: { ...(spec.task?.restart ?? RestartPolicy.create()), ...changes } });
}

function placementOf(spec: ServiceSpec): NonNullable<Task['placement']> {
  return spec.task?.placement ?? assert.fail('no placement');
}

function affinityOf(value: string): Affinity {
  const [target = '', weight] = value.split(',');
  return { target, weight: Number(weight) };
}

function portsOf(value: string, mode: PortMode): readonly PortSpec[] {
  if (value === '') return [];
  const [published, target] = value.split(':').map(Number);
  return [PortSpec.create({ publishedPort: published ?? 0, targetPort: target ?? 0, mode })];
}

function oneOf<T>(choices: Readonly<Record<string, T>>, value: string): T {
  return choices[value] ?? assert.fail(`"${value}" is not one of ${Object.keys(choices).join(', ')}`);
}
