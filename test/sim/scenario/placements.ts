// What simulated users ask of the nodes that their tasks run on: small clusters, so that much of it is in short supply.
import { type Rng, randomInt } from '../../../lib/rng.ts';
import { GenericResource, Placement, type PortSpec, Resources, ServiceMode, type ServiceSpec, TaskSpec } from '../../../proto/index.ts';
import { PortMode } from '../../../proto/index.ts';
import { chance, pick } from '../core/random.ts';

const SPREADS = ['node.labels.zone', 'node.labels.gpu', 'node.hostname'];
const CONSTRAINTS = [
  ...['node.labels.zone==a', 'node.labels.zone==b', 'node.labels.gpu==yes', 'node.hostname!=n1'],
  ...['node.labels.zone in (a, b)', 'node.labels.gpu exists', 'node.labels.gpu==yes || node.labels.zone==a'],
];
/** The names that services get (commands.ts). */
const SERVICES = ['s1', 's2', 's3'];
/** Published by tasks on their own nodes. */
const HOST_PORTS = [9001, 9002];

export function randomPlacement(rng: Rng): Placement {
  return Placement.create({
    constraints: chance(rng, 0.15) ? [pick(rng, CONSTRAINTS)] : [],
    spread: chance(rng, 0.25) ? [pick(rng, SPREADS), ...(chance(rng, 0.3) ? [pick(rng, SPREADS)] : [])] : [],
    affinities: chance(rng, 0.2) ? [{ target: randomTarget(rng), weight: pick(rng, [-50, 20, 100]) }] : [],
    maxReplicasPerNode: chance(rng, 0.12) ? 1 + randomInt(rng, 2) : 0,
    priority: chance(rng, 0.4) ? randomInt(rng, 3) : 0,
  });
}

function randomTarget(rng: Rng): string {
  return chance(rng, 0.5) ? `service:${pick(rng, SERVICES)}` : pick(rng, CONSTRAINTS);
}

/** What a task has for itself: few at a time fit on a node (node.ts says what nodes have). */
export function randomNeeds(rng: Rng): Pick<TaskSpec, 'reservations' | 'genericReservations'> {
  const generics = chance(rng, 0.1) ? [GenericResource.create({ kind: pick(rng, ['gpu', 'licence']), count: 1 + randomInt(rng, 2) })] : [];
  return {
    reservations: chance(rng, 0.2) ? Resources.create({ nanoCpus: (1 + randomInt(rng, 5)) * 1e9 }) : undefined,
    genericReservations: generics,
  };
}

export function randomHostPort(rng: Rng): Partial<PortSpec> {
  return { targetPort: 90, publishedPort: pick(rng, HOST_PORTS), mode: PortMode.HOST };
}

/** Whatever could keep it from fitting anywhere. */
export function withoutDemands(spec: ServiceSpec): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  const placement = { ...Placement.create({}), ...task.placement, constraints: [], maxReplicasPerNode: 0 };
  const ports = spec.ports.filter(({ mode }) => mode !== PortMode.HOST);
  return { ...spec, ports, task: { ...task, placement, reservations: undefined, genericReservations: [] } };
}

export function makesDemands({ task, ports }: ServiceSpec): boolean {
  const { constraints = [], maxReplicasPerNode = 0 } = task?.placement ?? {};
  const isPicky = constraints.length > 0 || maxReplicasPerNode > 0 || ports.some(({ mode }) => mode === PortMode.HOST);
  return isPicky || task?.reservations !== undefined || (task?.genericReservations.length ?? 0) > 0;
}

/** A limit for each node is not for those that run one task on each. */
export function withinMode(spec: ServiceSpec): ServiceSpec {
  const { mode, task } = spec;
  const isGlobal = mode === ServiceMode.GLOBAL || mode === ServiceMode.GLOBAL_JOB;
  if (!isGlobal || task?.placement === undefined) return spec;
  return { ...spec, task: { ...task, placement: { ...task.placement, maxReplicasPerNode: 0 } } };
}

export function withRandomPlacement(spec: ServiceSpec, rng: Rng): ServiceSpec {
  const task = spec.task ?? TaskSpec.create({});
  return withinMode({ ...spec, task: { ...task, placement: chance(rng, 0.5) ? randomPlacement(rng) : Placement.create({}) } });
}

/** Another task in all that concerns nodes. */
export function withRandomNeeds(spec: ServiceSpec, rng: Rng): ServiceSpec {
  return { ...spec, task: { ...TaskSpec.create({}), ...spec.task, ...randomNeeds(rng) } };
}
