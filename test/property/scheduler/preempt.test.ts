// Preemption against all sets of tasks that could have been asked to leave.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Inventory, place, type PlacementRequest, type Tenants } from '../../../manager/scheduler/index.ts';
import { PortProtocol } from '../../../proto/index.ts';
import { CPU, GIB, hostPort, makeNode, requestsFor, taskSpec, type Wish } from '../../support/placement.ts';

interface Tenant {
  readonly nodeId: string;
  readonly request: PlacementRequest;
  readonly isFixed: boolean;
}

interface World {
  readonly cpus: readonly number[];
  readonly tenants: ReadonlyMap<string, Tenant>;
}

const tenantWish = fc.record({
  cpus: fc.constantFrom(0, 0.5, 1, 2),
  gib: fc.constantFrom(0, 1, 2),
  priority: fc.constantFrom(-1, 0, 0, 3, 5),
  generics: fc.constantFrom({}, {}, { gpu: 1 }),
  port: fc.constantFrom(0, 0, 0, 8080),
  node: fc.nat(2),
  isFixed: fc.constantFrom(false, false, false, true),
});
type TenantWish = Wish & { readonly port: number; readonly node: number; readonly isFixed: boolean };

const newcomer = fc.record({
  cpus: fc.constantFrom(0, 1, 3),
  gib: fc.constantFrom(0, 2, 3),
  priority: fc.constantFrom(0, 1, 5, 9),
  generics: fc.constantFrom({}, {}, { gpu: 1 }, { gpu: 2 }),
  maxReplicasPerNode: fc.constantFrom(0, 0, 1),
});

/** As many of the wishes as there is room for, each where it wants to be. */
function settle(inventory: Inventory, cpus: readonly number[], wishes: readonly TenantWish[]): World {
  cpus.forEach((count, index) => {
    const generics = [{ kind: 'gpu', count: 2, names: [] }];
    const { node, status } = makeNode({ id: `n${index}`, cpus: count, gib: 4, generics });
    inventory.putNode(node, status);
  });
  const tenants = new Map<string, Tenant>();
  wishes.forEach((wish, index) => {
    const ports = wish.port === 0 ? [] : [hostPort(PortProtocol.TCP, wish.port)];
    const [request] = requestsFor(`s${index}`, 1, taskSpec(wish), ports);
    const nodeId = `n${wish.node % cpus.length}`;
    if (request === undefined || place(inventory, [{ ...request, nodeId }], 0)[0]?.nodeId === undefined) return;
    tenants.set(request.taskId, { nodeId, request, isFixed: wish.isFixed });
  });
  return { cpus, tenants };
}

function tenantsOf({ tenants }: World): Tenants {
  return {
    gap: 1,
    on: (nodeId) => [...tenants].filter(([, tenant]) => tenant.nodeId === nodeId).map(([id]) => id),
    mayLeave: (id) => tenants.get(id)?.isFixed === false,
  };
}

/** Whether the node takes the task without these. */
function fits(world: World, node: number, request: PlacementRequest, without: ReadonlySet<string>): boolean {
  const staying = [...world.tenants.values()].filter((tenant) => tenant.nodeId === `n${node}` && !without.has(tenant.request.taskId));
  const all = [...staying.map((tenant) => tenant.request), request];
  const sum = (of: (one: PlacementRequest) => number): number => all.reduce((total, one) => total + of(one), 0);
  const { nanoCpus = 0, memoryBytes = 0 } = request.spec.reservations ?? {};
  if (nanoCpus > 0 && sum(({ spec }) => spec.reservations?.nanoCpus ?? 0) > (world.cpus[node] ?? 0) * CPU) return false;
  if (memoryBytes > 0 && sum(({ spec }) => spec.reservations?.memoryBytes ?? 0) > 4 * GIB) return false;
  if (request.spec.genericReservations.length > 0 && sum(({ spec }) => spec.genericReservations[0]?.count ?? 0) > 2) return false;
  return request.ports.length === 0 || staying.every((tenant) => tenant.request.ports.length === 0);
}

function priorityOf({ spec }: PlacementRequest): number {
  return spec.placement?.priority ?? 0;
}

/** How few would have been enough, anywhere; undefined: no set is. */
function fewest(world: World, request: PlacementRequest): number | undefined {
  let best: number | undefined;
  world.cpus.forEach((_, node) => {
    const mayLeave = [...world.tenants.values()].filter(
      (tenant) => tenant.nodeId === `n${node}` && !tenant.isFixed && priorityOf(tenant.request) < priorityOf(request),
    );
    for (let mask = 0; mask < 1 << mayLeave.length; mask++) {
      const set = mayLeave.filter((_tenant, index) => (mask & (1 << index)) !== 0).map((tenant) => tenant.request.taskId);
      if ((best === undefined || set.length < best) && fits(world, node, request, new Set(set))) best = set.length;
    }
  });
  return best;
}

describe('preemption', () => {
  it('asks as few tasks to leave as possible, only such of lower priority, and only where that makes room', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1, 2, 4), { minLength: 1, maxLength: 3 }),
        fc.array(tenantWish, { maxLength: 12 }),
        newcomer,
        fc.boolean(),
        (cpus, wishes, wish, wantsPort) => {
          const inventory = new Inventory();
          const world = settle(inventory, cpus, wishes);
          const ports = wantsPort ? [hostPort(PortProtocol.TCP, 8080)] : [];
          const [request] = requestsFor('new', 1, taskSpec(wish), ports);
          assert.ok(request);
          const [result] = place(inventory, [request], 0, tenantsOf(world));
          if (result?.nodeId !== undefined) return;
          const leaving = result?.preemption?.taskIds;
          assert.equal(leaving?.length, fewest(world, request));
          if (leaving === undefined) return;
          for (const id of leaving) assert.ok(priorityOf(world.tenants.get(id)?.request ?? assert.fail()) < wish.priority);
          assert.ok(fits(world, Number(result?.preemption?.nodeId.slice(1)), request, new Set(leaving)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('asks nobody again for a task that waits for those to be gone, and places all when they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1, 2, 4), { minLength: 1, maxLength: 3 }),
        fc.array(tenantWish, { maxLength: 12 }),
        newcomer,
        fc.integer({ min: 1, max: 4 }),
        (cpus, wishes, wish, count) => {
          const inventory = new Inventory();
          const world = settle(inventory, cpus, wishes);
          const requests = requestsFor('new', count, taskSpec(wish));
          const tenants = tenantsOf(world);
          const first = place(inventory, requests, 0, tenants);
          const leaving = first.flatMap((result) => (result.nodeId === undefined ? (result.preemption?.taskIds ?? []) : []));
          assert.equal(new Set(leaving).size, leaving.length);
          for (const id of leaving) inventory.putTask({ ...(inventory.demandOf(id) ?? assert.fail()), active: false });

          const waiting = requests.filter((_, index) => first[index]?.nodeId === undefined);
          const again = place(inventory, waiting, 0, tenants);
          assert.deepEqual(
            again.flatMap((result) => (result.nodeId === undefined ? (result.preemption?.taskIds ?? []) : [])),
            [],
          );
          for (const id of leaving) inventory.removeTask(id);
          const promised = first.filter((result) => result.nodeId === undefined && result.preemption !== undefined).length;
          const placed = place(inventory, waiting, 0, tenants).filter(({ nodeId }) => nodeId !== undefined).length;
          assert.ok(placed >= promised, `${placed} of ${promised}`);
        },
      ),
      { numRuns: 300 },
    );
  });
});
