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
  Resources,
  PortMode,
  PortSpec,
  RestartPolicy,
  ServiceMode,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
  UpdateOrder,
} from '../../../proto/index.ts';
import { between, chance, pick } from '../core/random.ts';

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
const SPREADS = ['node.labels.zone', 'node.labels.gpu', 'node.hostname'];
const CONSTRAINTS = ['node.labels.zone==a', 'node.labels.zone==b', 'node.labels.gpu==yes', 'node.hostname!=n1'];

/** `port`: published by it where it publishes one. */
export function randomSpec(rng: Rng, name: string, port: number): ServiceSpec {
  const isGlobal = chance(rng, 0.2);
  return ServiceSpec.create({
    name,
    mode: isGlobal ? ServiceMode.GLOBAL : ServiceMode.REPLICATED,
    replicas: isGlobal ? 0 : 1 + randomInt(rng, 6),
    task: TaskSpec.create({
      container: ContainerSpec.create({ image: chance(rng, 0.7) ? 'sim/web' : pick(rng, IMAGES), stopGracePeriodMs: 10_000 }),
      restart: RestartPolicy.create({ delayMs: chance(rng, 0.7) ? Math.floor(between(rng, 500, 4000)) : undefined }),
      placement: randomPlacement(rng),
      reservations: chance(rng, 0.1) ? Resources.create({ nanoCpus: (1 + randomInt(rng, 3)) * 1e9 }) : undefined,
      probes: chance(rng, 0.25) ? randomProbes(rng) : undefined,
      noPortCheck: chance(rng, 0.1),
    }),
    update: randomUpdate(rng),
    rollback: chance(rng, 0.4) ? randomUpdate(rng) : undefined,
    onReturn: chance(rng, 0.2) ? OnReturn.KEEP_OLD : OnReturn.KEEP_NEW,
    ports: chance(rng, 0.75) ? [PortSpec.create({ targetPort: 80, publishedPort: port, mode: PortMode.INGRESS })] : [],
    drainPeriodMs: Math.floor(between(rng, 500, 6000)),
  });
}

function randomPlacement(rng: Rng): Placement {
  return Placement.create({
    constraints: chance(rng, 0.15) ? [pick(rng, CONSTRAINTS)] : [],
    spread: chance(rng, 0.25) ? [pick(rng, SPREADS)] : [],
    affinities: chance(rng, 0.15) ? [{ target: pick(rng, CONSTRAINTS), weight: pick(rng, [-50, 20, 100]) }] : [],
    maxReplicasPerNode: chance(rng, 0.1) ? 1 + randomInt(rng, 2) : 0,
    priority: chance(rng, 0.2) ? randomInt(rng, 3) : 0,
  });
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
    preemptionGap: maybe(1),
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

export function randomImage(rng: Rng): string {
  return pick(rng, IMAGES);
}

/** Whatever could keep it from fitting anywhere. */
export function withoutDemands(spec: ServiceSpec): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  const placement = { ...Placement.create({}), ...task.placement, constraints: [], maxReplicasPerNode: 0 };
  return { ...spec, task: { ...task, placement, reservations: undefined } };
}

export function makesDemands({ task }: ServiceSpec): boolean {
  const { constraints = [], maxReplicasPerNode = 0 } = task?.placement ?? {};
  return constraints.length > 0 || maxReplicasPerNode > 0 || task?.reservations !== undefined;
}

export function withRandomPlacement(spec: ServiceSpec, rng: Rng): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  return { ...spec, task: { ...task, placement: chance(rng, 0.5) ? randomPlacement(rng) : Placement.create({}) } };
}
