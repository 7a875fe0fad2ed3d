// The services that simulated users make: small ones of many kinds, some of which cannot run.
import type { Rng } from '../../../lib/rng.ts';
import { randomInt } from '../../../lib/rng.ts';
import {
  type ClusterSettings,
  ContainerSpec,
  FailureAction,
  OnReturn,
  Placement,
  Probe,
  Probes,
  PortMode,
  PortSpec,
  RebalancePolicy,
  Resources,
  RestartCondition,
  RestartPolicy,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
  UpdateOrder,
} from '../../../proto/index.ts';
import { between, chance, pick } from '../core/random.ts';
import { isJob } from '../truth/truth.ts';
import { asJob, JOB_IMAGES } from './jobs.ts';
import { randomHostPort, randomNeeds, randomPlacement, withinMode } from './placements.ts';

const IMAGES = [
  'sim/web',
  'sim/web',
  'sim/web',
  'sim/web',
  'sim/check',
  'sim/slow',
  'sim/crash',
  'sim/oom',
  'sim/nopull',
  'sim/sick',
  'sim/done',
];
/** All of a service but what it runs. */
export type RandomSpec = (image: string) => ServiceSpec;

/** `port`: published by it where it publishes one. */
export function randomSpec(rng: Rng, name: string, port: number): ServiceSpec {
  if (chance(rng, 0.22)) return randomJob(rng, name, port);
  const isGlobal = chance(rng, 0.2);
  return withinMode({
    ...baseSpec(rng, name, chance(rng, 0.7) ? 'sim/web' : pick(rng, IMAGES), chance(rng, 0.75) ? port : undefined),
    ...(isGlobal ? { mode: ServiceMode.GLOBAL } : { replicas: 1 + randomInt(rng, 6) }),
    rebalance: !isGlobal && chance(rng, 0.04) ? RebalancePolicy.REBALANCE_AUTO : RebalancePolicy.REBALANCE_MANUAL,
    update: randomUpdate(rng),
    rollback: chance(rng, 0.4) ? randomUpdate(rng) : undefined,
  });
}

/** Fills nodes, and is of some priority. */
export function bulkySpec(rng: Rng, name: string, port: number): ServiceSpec {
  const spec = { ...baseSpec(rng, name, 'sim/web', port), replicas: 3 + randomInt(rng, 4) };
  const placement = Placement.create({ priority: randomInt(rng, 3) });
  const reservations = Resources.create({ nanoCpus: (3 + randomInt(rng, 3)) * 1e9 });
  return { ...spec, task: { ...TaskSpec.create({}), ...spec.task, placement, reservations } };
}

export function randomJob(rng: Rng, name: string, port: number): ServiceSpec {
  return asJob(rng, (image) => baseSpec(rng, name, image, chance(rng, 0.1) ? port : undefined));
}

function baseSpec(rng: Rng, name: string, image: string, port: number | undefined): ServiceSpec {
  return ServiceSpec.create({
    name,
    task: TaskSpec.create({
      container: ContainerSpec.create({ image, stopGracePeriodMs: 10_000 }),
      restart: randomRestart(rng),
      placement: randomPlacement(rng),
      ...randomNeeds(rng),
      probes: chance(rng, 0.25) ? randomProbes(rng) : undefined,
      noPortCheck: chance(rng, 0.1),
    }),
    onReturn: chance(rng, 0.2) ? OnReturn.KEEP_OLD : OnReturn.KEEP_NEW,
    ports: [
      ...(port === undefined ? [] : [PortSpec.create({ targetPort: 80, publishedPort: port, mode: PortMode.INGRESS })]),
      ...(chance(rng, 0.08) ? [PortSpec.create(randomHostPort(rng))] : []),
    ],
    drainPeriodMs: Math.floor(between(rng, 500, 6000)),
  });
}

/** Mostly one that brings back whatever ended. */
export function randomRestart(rng: Rng): RestartPolicy {
  const isPlain = chance(rng, 0.75);
  return RestartPolicy.create({
    condition: isPlain ? RestartCondition.ANY : pick(rng, [RestartCondition.ANY, RestartCondition.ON_FAILURE, RestartCondition.NONE]),
    delayMs: chance(rng, 0.7) ? Math.floor(between(rng, 500, 4000)) : undefined,
    maxAttempts: isPlain ? 0 : randomInt(rng, 4),
    windowMs: isPlain || chance(rng, 0.5) ? 0 : Math.floor(between(rng, 2000, 20_000)),
  });
}

/** It may leave a slot empty for good. */
export function givesUp({ task }: ServiceSpec): boolean {
  const { condition = RestartCondition.ANY, maxAttempts = 0 } = task?.restart ?? {};
  return condition !== RestartCondition.ANY || maxAttempts > 0;
}

export function withRestart(spec: ServiceSpec, restart: RestartPolicy): ServiceSpec {
  return { ...spec, task: { ...TaskSpec.create({}), ...spec.task, restart } };
}

/** Asked of the simulated engine, which lets them fail where a fault says so. */
function randomProbes(rng: Rng): Probes {
  const probe = (successes: number): Probe =>
    Probe.create({
      check: { case: 'tcp', value: { port: 80 } },
      intervalMs: Math.floor(between(rng, 300, 1500)),
      failures: 1 + randomInt(rng, 2),
      successes,
    });
  return Probes.create({
    readiness: chance(rng, 0.8) ? probe(1) : undefined,
    liveness: chance(rng, 0.3) ? probe(1) : undefined,
    startup: chance(rng, 0.3) ? probe(1) : undefined,
  });
}

/** Short ones: what they delay shall be over within a seed. */
export function randomSettings(rng: Rng): ClusterSettings {
  const maybe = (value: number): number | undefined => (chance(rng, 0.3) ? value : undefined);
  return {
    taskHistoryLimit: maybe(randomInt(rng, 4)),
    heartbeatPeriodMs: undefined,
    nodeDownAfterMs: maybe(Math.floor(between(rng, 3000, 9000))),
    preemptionGap: chance(rng, 0.6) ? 1 + randomInt(rng, 2) : undefined,
    specHistoryLimit: maybe(randomInt(rng, 4)),
    evictionDelayMs: maybe(Math.floor(between(rng, 500, 6000))),
    massLossPercent: maybe(30 + randomInt(rng, 60)),
    massLossHoldMs: maybe(Math.floor(between(rng, 0, 20_000))),
  };
}

export function randomUpdate(rng: Rng): UpdateConfig {
  return UpdateConfig.create({
    parallelism: randomInt(rng, 4),
    delayMs: chance(rng, 0.5) ? 0 : Math.floor(between(rng, 100, 2000)),
    monitorMs: Math.floor(between(rng, 200, 3000)),
    failureAction: pick(rng, [FailureAction.FAILURE_PAUSE, FailureAction.FAILURE_CONTINUE, FailureAction.FAILURE_ROLLBACK]),
    progressDeadlineMs: chance(rng, 0.3) ? Math.floor(between(rng, 3000, 15_000)) : undefined,
    maxFailureRatio: chance(rng, 0.7) ? 0 : 0.5,
    order: pick(rng, [UpdateOrder.AUTO, UpdateOrder.AUTO, UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST]),
  });
}

export function withImage(spec: ServiceSpec, image: string): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  return { ...spec, task: { ...task, container: { ...ContainerSpec.create({}), ...task.container, image, resolvedImage: '' } } };
}

export function forced(spec: ServiceSpec): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  return { ...spec, task: { ...task, forceUpdate: task.forceUpdate + 1 } };
}

/** Of the same kind as what it runs now: a job's come to an end. */
export function randomImage(spec: ServiceSpec, rng: Rng): string {
  return pick(rng, isJob(spec) ? JOB_IMAGES : IMAGES);
}
