// Placement against a naive scheduler that looks at every node for every task.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Inventory, place, type PlacementRequest } from '../../../manager/scheduler/index.ts';
import { type Affinity, Availability, NodeState, PortProtocol } from '../../../proto/index.ts';
import { NaiveScheduler } from '../../support/naive-scheduler.ts';
import { CPU, hostPort, makeNode, type NodeTraits, requestsFor, taskSpec, type Wish } from '../../support/placement.ts';

const traits = fc.record({
  cpus: fc.constantFrom(1, 2, 4, 8),
  gib: fc.constantFrom(1, 4, 16),
  labels: fc.record(
    { disk: fc.constantFrom('ssd', 'hdd'), dc: fc.constantFrom('east', 'west'), rack: fc.constantFrom('1', '2', '3') },
    { requiredKeys: [] },
  ),
  generics: fc.constantFrom([], [{ kind: 'gpu', count: 3, names: [] }], [{ kind: 'gpu', count: 2, names: ['g1', 'g2'] }]),
  availability: fc.constantFrom(Availability.ACTIVE, Availability.ACTIVE, Availability.ACTIVE, Availability.DRAIN, Availability.PAUSE),
  state: fc.constantFrom(NodeState.NODE_READY, NodeState.NODE_READY, NodeState.NODE_READY, NodeState.NODE_DOWN),
});

const affinity: fc.Arbitrary<Affinity> = fc.record({
  target: fc.constantFrom('service:s0', 'service:s1', 'service:none', 'node.labels.disk==ssd', 'node.labels.rack in (1, 2)'),
  weight: fc.constantFrom(100, 50, 15, 5, -5, -50),
});

const wish = fc.record({
  cpus: fc.constantFrom(0, 0.25, 0.3, 1, 3),
  gib: fc.constantFrom(0, 0.5, 2),
  constraints: fc.constantFrom([], ['node.labels.disk==ssd'], ['node.labels.disk!=ssd']),
  maxReplicasPerNode: fc.constantFrom(0, 0, 0, 1, 2),
  spread: fc.constantFrom([], [], ['node.labels.dc'], ['node.labels.dc', 'node.labels.rack'], ['node.id', 'node.labels.dc']),
  affinities: fc.oneof(fc.constant([]), fc.uniqueArray(affinity, { maxLength: 3, selector: ({ target }) => target })),
  generics: fc.constantFrom({}, {}, {}, { gpu: 1 }, { gpu: 2 }, { fpga: 1 }),
  priority: fc.constantFrom(0, 0, 0, 1, -1),
});

type Step =
  | {
      readonly kind: 'place';
      readonly services: readonly { readonly id: number; readonly count: number; readonly wish: Wish; readonly port: number }[];
    }
  | { readonly kind: 'remove'; readonly every: number }
  | { readonly kind: 'node'; readonly id: number; readonly traits: Omit<NodeTraits, 'id'> }
  | { readonly kind: 'drop'; readonly id: number }
  | { readonly kind: 'fail'; readonly service: number; readonly id: number };

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
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), service: fc.nat(5), id: fc.nat(9) }) },
);

function putNode(inventory: Inventory, reference: NaiveScheduler, id: string, made: Omit<NodeTraits, 'id'>): void {
  const { node, status } = makeNode({ id, ...made });
  inventory.putNode(node, status);
  reference.nodes.set(id, { node, status });
}

/** Nodes that come back count as new ones for the reference's tie-break only if nothing was left on them: so they are not brought back. */
function run(nodes: readonly Omit<NodeTraits, 'id'>[], steps: readonly Step[]): void {
  const inventory = new Inventory();
  const reference = new NaiveScheduler();
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
      case 'fail':
        for (let n = 0; n < 5; n++) inventory.recordFailure(`n${next.id}`, `s${next.service}`, 1, 0);
        reference.failing.add(`s${next.service} n${next.id}`);
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

function check(inventory: Inventory, reference: NaiveScheduler, requests: readonly PlacementRequest[]): void {
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
function checkExplanation(explanation: string, reference: NaiveScheduler, request: PlacementRequest): void {
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
  it('is that of the naive scheduler, through changes of nodes and tasks', () => {
    fc.assert(
      fc.property(fc.array(traits, { maxLength: 8 }), fc.array(step, { maxLength: 12 }), (nodes, steps) => {
        run(nodes, steps);
      }),
      { numRuns: 500 },
    );
  });

  it('spreads a service so that nodes with room differ by one at most', () => {
    fc.assert(
      fc.property(fc.array(traits, { minLength: 1, maxLength: 10 }), fc.integer({ min: 1, max: 60 }), (nodes, count) => {
        const inventory = new Inventory();
        const reference = new NaiveScheduler();
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
    const reference = new NaiveScheduler();
    putNode(inventory, reference, 'n0', { cpus: 2 });
    const placed = place(inventory, requestsFor('web', 10, taskSpec({ cpus: 0.3 })), 0).filter(({ nodeId }) => nodeId !== undefined);
    assert.equal(placed.length, Math.floor((2 * CPU) / (0.3 * CPU)));
  });
});
