// The services that simulated users make: small ones of many kinds, some of which cannot run.
import type { Rng } from '../../../lib/rng.ts';
import { randomInt } from '../../../lib/rng.ts';
import {
  ContainerSpec,
  FailureAction,
  Placement,
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
      placement: Placement.create({ constraints: chance(rng, 0.15) ? [pick(rng, CONSTRAINTS)] : [] }),
      noPortCheck: chance(rng, 0.1),
    }),
    update: randomUpdate(rng),
    ports: chance(rng, 0.75) ? [PortSpec.create({ targetPort: 80, publishedPort: port, mode: PortMode.INGRESS })] : [],
    drainPeriodMs: Math.floor(between(rng, 500, 6000)),
  });
}

function randomUpdate(rng: Rng): UpdateConfig {
  return UpdateConfig.create({
    parallelism: randomInt(rng, 4),
    delayMs: chance(rng, 0.5) ? 0 : Math.floor(between(rng, 100, 2000)),
    monitorMs: Math.floor(between(rng, 200, 3000)),
    failureAction: FailureAction.FAILURE_PAUSE,
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

export function withoutConstraints(spec: ServiceSpec): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  return { ...spec, task: { ...task, placement: Placement.create({}) } };
}

export function withRandomConstraint(spec: ServiceSpec, rng: Rng): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  return { ...spec, task: { ...task, placement: Placement.create({ constraints: [pick(rng, CONSTRAINTS)] }) } };
}

export { randomUpdate };
