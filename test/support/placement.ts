// Nodes and requests for tests of placement: small, with everything at a default that fits.
import {
  type Affinity,
  Availability,
  ContainerSpec,
  EngineDescription,
  type GenericResource,
  LogDriver,
  Node,
  NodeDescription,
  NodeRole,
  NodeSpec,
  NodeState,
  NodeStatus,
  Placement,
  PortMode,
  PortSpec,
  type PortProtocol,
  TaskSpec,
} from '../../proto/index.ts';
import { Inventory } from '../../manager/scheduler/index.ts';
import type { PlacementRequest } from '../../manager/scheduler/index.ts';

export const CPU = 1e9;
export const GIB = 1024 ** 3;

export interface NodeTraits {
  readonly id: string;
  readonly cpus?: number;
  readonly gib?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly engineLabels?: Readonly<Record<string, string>>;
  readonly state?: NodeState;
  readonly availability?: Availability;
  readonly role?: NodeRole;
  readonly runtime?: string;
  readonly plugins?: readonly string[];
  readonly os?: string;
  readonly arch?: string;
  readonly address?: string;
  readonly meshUnready?: boolean;
  readonly generics?: readonly GenericResource[];
  /** Why its engine does not answer. */
  readonly trouble?: string;
}

export function makeNode(traits: NodeTraits): { readonly node: Node; readonly status: NodeStatus } {
  const { id, cpus = 4, gib = 16, labels = {}, engineLabels = {} } = traits;
  const node = Node.create({
    id,
    spec: NodeSpec.create({ role: traits.role ?? NodeRole.WORKER, availability: traits.availability ?? Availability.ACTIVE, labels }),
  });
  const status = NodeStatus.create({
    nodeId: id,
    state: traits.state ?? NodeState.NODE_READY,
    address: traits.address ?? '10.0.0.1',
    meshUnready: traits.meshUnready ?? false,
    description: NodeDescription.create({
      hostname: `host-${id}`,
      platform: { os: traits.os ?? 'linux', arch: traits.arch ?? 'x86_64' },
      genericResources: traits.generics ?? [],
      resources: { nanoCpus: cpus * CPU, memoryBytes: gib * GIB, pids: 0 },
      engine: EngineDescription.create({
        runtime: traits.runtime ?? 'docker',
        labels: engineLabels,
        plugins: traits.plugins ?? [],
        trouble: traits.trouble === undefined ? undefined : { reason: traits.trouble, sinceUnixMs: 1 },
      }),
    }),
  });
  return { node, status };
}

export function inventoryOf(nodes: readonly NodeTraits[]): Inventory {
  const inventory = new Inventory();
  for (const traits of nodes) {
    const { node, status } = makeNode(traits);
    inventory.putNode(node, status);
  }
  return inventory;
}

export interface Wish {
  readonly image?: string;
  readonly cpus?: number;
  readonly gib?: number;
  readonly constraints?: readonly string[];
  readonly platforms?: readonly { readonly os: string; readonly arch: string }[];
  readonly maxReplicasPerNode?: number;
  readonly spread?: readonly string[];
  readonly affinities?: readonly Affinity[];
  readonly priority?: number;
  readonly logDriver?: string;
  /** By kind. */
  readonly generics?: Readonly<Record<string, number>>;
}

export function taskSpec(wish: Wish = {}): TaskSpec {
  const base = TaskSpec.create();
  return {
    ...base,
    container: { ...CONTAINER, image: wish.image ?? 'nginx' },
    reservations: { nanoCpus: (wish.cpus ?? 0) * CPU, memoryBytes: (wish.gib ?? 0) * GIB, pids: 0 },
    placement: Placement.create({
      constraints: wish.constraints ?? [],
      platforms: wish.platforms ?? [],
      maxReplicasPerNode: wish.maxReplicasPerNode ?? 0,
      spread: wish.spread ?? [],
      affinities: wish.affinities ?? [],
      priority: wish.priority ?? 0,
    }),
    logDriver: wish.logDriver === undefined ? undefined : LogDriver.create({ name: wish.logDriver }),
    genericReservations: Object.entries(wish.generics ?? {}).map(([kind, count]) => ({ kind, count, names: [] })),
  };
}

const CONTAINER = ContainerSpec.create();

export function hostPort(protocol: PortProtocol, publishedPort: number): PortSpec {
  return PortSpec.create({ protocol, publishedPort, targetPort: 80, mode: PortMode.HOST });
}

/** `count` tasks of one service, named "<service>.1" and so on. */
export function requestsFor(serviceId: string, count: number, spec: TaskSpec, ports: readonly PortSpec[] = []): PlacementRequest[] {
  return Array.from({ length: count }, (_, index) => ({ taskId: `${serviceId}.${index + 1}`, serviceId, specNumber: 1, spec, ports }));
}
