// Placement against a reference that looks at every node for every task.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { placementProblem } from '../../../manager/constraint/index.ts';
import { Inventory, place, type PlacementRequest } from '../../../manager/scheduler/index.ts';
import { Availability, type Node, NodeState, type NodeStatus, PortProtocol } from '../../../proto/index.ts';
import { CPU, GIB, hostPort, makeNode, type NodeTraits, requestsFor, taskSpec, type Wish } from '../../support/placement.ts';

interface PlacedTask {
  readonly request: PlacementRequest;
  readonly nodeId: string;
}

/** The same rules, written down as plainly as can be. */
class Reference {
  readonly nodes = new Map<string, { readonly node: Node; readonly status: NodeStatus }>();
  readonly tasks = new Map<string, PlacedTask>();

  onNode(id: string): PlacedTask[] {
    return [...this.tasks.values()].filter(({ nodeId }) => nodeId === id);
  }

  free(id: string): { readonly cpus: number; readonly bytes: number } {
    const resources = this.nodes.get(id)?.status.description?.resources;
    let cpus = resources?.nanoCpus ?? 0;
    let bytes = resources?.memoryBytes ?? 0;
    for (const { request } of this.onNode(id)) {
      cpus -= request.spec.reservations?.nanoCpus ?? 0;
      bytes -= request.spec.reservations?.memoryBytes ?? 0;
    }
    return { cpus, bytes };
  }

  copies(id: string, serviceId: string): number {
    return this.onNode(id).filter(({ request }) => request.serviceId === serviceId).length;
  }

  refusal(id: string, request: PlacementRequest): string | undefined {
    const { node, status } = this.nodes.get(id) ?? assert.fail();
    const { spec, ports } = request;
    if (status.state !== NodeState.NODE_READY || node.spec?.availability !== Availability.ACTIVE) return 'not available for new tasks';
    const free = this.free(id);
    const { nanoCpus = 0, memoryBytes = 0 } = spec.reservations ?? {};
    if ((nanoCpus > 0 && nanoCpus > free.cpus) || (memoryBytes > 0 && memoryBytes > free.bytes)) return 'insufficient resources';
    if (placementProblem(spec.placement, node, status) !== undefined) return 'scheduling constraints not satisfied';
    const used = new Set(this.onNode(id).flatMap((task) => task.request.ports.map((port) => port.publishedPort)));
    if (ports.some((port) => used.has(port.publishedPort))) return 'host-mode port already in use';
    const max = spec.placement?.maxReplicasPerNode ?? 0;
    return max > 0 && this.copies(id, request.serviceId) >= max ? 'max replicas per node limit exceeded' : undefined;
  }

  place(requests: readonly PlacementRequest[]): (string | undefined)[] {
    const byGroup = [...requests].sort((a, b) => firstOf(requests, a) - firstOf(requests, b));
    for (const request of byGroup) {
      const fitting = [...this.nodes.keys()].filter((id) => this.refusal(id, request) === undefined);
      const order = [...this.nodes.keys()];
      const keyOf = (id: string): number[] => {
        const { cpus, bytes } = this.free(id);
        return [this.copies(id, request.serviceId), this.onNode(id).length, -(cpus + (bytes * 1e9) / (4 * GIB)), order.indexOf(id)];
      };
      fitting.sort((a, b) => compareKeys(keyOf(a), keyOf(b)));
      const [best] = fitting;
      if (best !== undefined) this.tasks.set(request.taskId, { request, nodeId: best });
    }
    return requests.map(({ taskId }) => this.tasks.get(taskId)?.nodeId);
  }
}

function firstOf(requests: readonly PlacementRequest[], request: PlacementRequest): number {
  return requests.findIndex(({ serviceId }) => serviceId === request.serviceId);
}

function compareKeys(one: readonly number[], other: readonly number[]): number {
  for (const [index, value] of one.entries()) {
    const difference = value - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const traits = fc.record({
  cpus: fc.constantFrom(1, 2, 4, 8),
  gib: fc.constantFrom(1, 4, 16),
  labels: fc.constantFrom({}, { disk: 'ssd' }, { disk: 'hdd' }),
  availability: fc.constantFrom(Availability.ACTIVE, Availability.ACTIVE, Availability.ACTIVE, Availability.DRAIN, Availability.PAUSE),
  state: fc.constantFrom(NodeState.NODE_READY, NodeState.NODE_READY, NodeState.NODE_READY, NodeState.NODE_DOWN),
});

const wish = fc.record({
  cpus: fc.constantFrom(0, 0.25, 0.3, 1, 3),
  gib: fc.constantFrom(0, 0.5, 2),
  constraints: fc.constantFrom([], ['node.labels.disk==ssd'], ['node.labels.disk!=ssd']),
  maxReplicasPerNode: fc.constantFrom(0, 0, 0, 1, 2),
});

type Step =
  | {
      readonly kind: 'place';
      readonly services: readonly { readonly id: number; readonly count: number; readonly wish: Wish; readonly port: number }[];
    }
  | { readonly kind: 'remove'; readonly every: number }
  | { readonly kind: 'node'; readonly id: number; readonly traits: Omit<NodeTraits, 'id'> }
  | { readonly kind: 'drop'; readonly id: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('place' as const),
      services: fc.array(fc.record({ id: fc.nat(5), count: fc.nat(12), wish, port: fc.constantFrom(0, 0, 0, 8080) }), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), every: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('node' as const), id: fc.nat(9), traits }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), id: fc.nat(9) }) },
);

function putNode(inventory: Inventory, reference: Reference, id: string, made: Omit<NodeTraits, 'id'>): void {
  const { node, status } = makeNode({ id, ...made });
  inventory.putNode(node, status);
  reference.nodes.set(id, { node, status });
}

/** Nodes that come back count as new ones for the reference's tie-break only if nothing was left on them: so they are not brought back. */
function run(nodes: readonly Omit<NodeTraits, 'id'>[], steps: readonly Step[]): void {
  const inventory = new Inventory();
  const reference = new Reference();
  const dropped = new Set<string>();
  nodes.forEach((made, index) => putNode(inventory, reference, `n${index}`, made));
  let made = 0;
  for (const next of steps) {
    switch (next.kind) {
      case 'node':
        if (!dropped.has(`n${next.id}`)) putNode(inventory, reference, `n${next.id}`, next.traits);
        break;
      case 'drop':
        if (!reference.nodes.delete(`n${next.id}`)) break;
        dropped.add(`n${next.id}`);
        inventory.removeNode(`n${next.id}`);
        break;
      case 'remove':
        for (const [index, taskId] of [...reference.tasks.keys()].entries()) {
          if (index % next.every !== 0) continue;
          reference.tasks.delete(taskId);
          inventory.removeTask(taskId);
        }
        break;
      case 'place': {
        const requests = next.services
          .filter(({ id }, index) => next.services.findIndex((other) => other.id === id) === index)
          .flatMap(({ id, count, wish: wanted, port }) => {
            const ports = port === 0 ? [] : [hostPort(PortProtocol.TCP, port)];
            return requestsFor(`s${id}`, count, taskSpec(wanted), ports).map((request) => ({ ...request, taskId: `t${made++}` }));
          });
        check(inventory, reference, requests);
      }
    }
  }
}

function check(inventory: Inventory, reference: Reference, requests: readonly PlacementRequest[]): void {
  const results = place(inventory, requests, 0);
  assert.deepEqual(
    results.map(({ taskId }) => taskId),
    requests.map(({ taskId }) => taskId),
  );
  assert.deepEqual(
    results.map(({ nodeId }) => nodeId),
    reference.place(requests),
  );
  for (const [index, { explanation }] of results.entries()) {
    if (explanation !== undefined) checkExplanation(explanation, reference, requests[index] ?? assert.fail());
  }
}

/** Every node is counted once, under its first reason. */
function checkExplanation(explanation: string, reference: Reference, request: PlacementRequest): void {
  const expected = new Map<string, number>();
  for (const id of reference.nodes.keys()) {
    const reason = reference.refusal(id, request) ?? assert.fail(`${id} takes it`);
    expected.set(reason, (expected.get(reason) ?? 0) + 1);
  }
  for (const [reason, count] of expected) {
    const nodes = count === 1 ? '1 node' : `${count} nodes`;
    assert.ok(explanation.includes(reason) && explanation.includes(nodes), `${explanation} names ${nodes}: ${reason}`);
  }
  const total = [...explanation.matchAll(/(\d+) nodes?\b/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  assert.equal(total, reference.nodes.size, explanation);
}

describe('placement', () => {
  it('is that of the reference, through changes of nodes and tasks', () => {
    fc.assert(
      fc.property(fc.array(traits, { maxLength: 8 }), fc.array(step, { maxLength: 12 }), (nodes, steps) => {
        run(nodes, steps);
      }),
      { numRuns: 300 },
    );
  });

  it('spreads a service so that nodes with room differ by one at most', () => {
    fc.assert(
      fc.property(fc.array(traits, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 60 }), (nodes, count) => {
        const inventory = new Inventory();
        const reference = new Reference();
        nodes.forEach((made, index) => putNode(inventory, reference, `n${index}`, made));
        const requests = requestsFor('web', count, taskSpec({ cpus: 0.1 }));
        for (const [index, { nodeId }] of place(inventory, requests, 0).entries()) {
          const request = requests[index];
          if (nodeId !== undefined && request !== undefined) reference.tasks.set(request.taskId, { request, nodeId });
        }
        const probe = requests[0] ?? assert.fail();
        const withRoom = [...reference.nodes.keys()].filter((id) => reference.refusal(id, probe) === undefined);
        const counts = [...reference.nodes.keys()].map((id) => reference.copies(id, 'web'));
        for (const id of withRoom) assert.ok(reference.copies(id, 'web') >= Math.max(...counts) - 1);
      }),
      { numRuns: 200 },
    );
  });

  it('never takes more CPU than there is', () => {
    const inventory = new Inventory();
    const reference = new Reference();
    putNode(inventory, reference, 'n0', { cpus: 2 });
    const placed = place(inventory, requestsFor('web', 10, taskSpec({ cpus: 0.3 })), 0).filter(({ nodeId }) => nodeId !== undefined);
    assert.equal(placed.length, Math.floor((2 * CPU) / (0.3 * CPU)));
  });
});
