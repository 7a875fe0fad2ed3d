// What explain names as the change that makes a task fit does so, by the scheduler's own word.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { explainService } from '../../../manager/explain/index.ts';
import { InventoryFeed } from '../../../manager/leader/inventory-feed.ts';
import { place, type PlacementResult } from '../../../manager/scheduler/index.ts';
import { specOf as specIn } from '../../../manager/state/index.ts';
import {
  Availability,
  type ConsideredNode,
  NodeState,
  PortMode,
  PortSpec,
  type ServiceSpec,
  type SmallestChange,
  type Task,
  type TaskSpec,
} from '../../../proto/index.ts';
import { type NodeTraits, taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';

const label = fc.constantFrom('x', 'y', 'z');
const CONSTRAINTS = [
  'node.labels.zone==x',
  'node.labels.zone!=y',
  'node.labels.disk == ssd',
  'node.role==worker',
  'node.hostname==host-n1',
  'engine.labels.e==1',
  'nonsense.key==1',
];

const traits: fc.Arbitrary<Omit<NodeTraits, 'id'>> = fc.record({
  cpus: fc.integer({ min: 1, max: 4 }),
  gib: fc.integer({ min: 1, max: 4 }),
  labels: fc.dictionary(fc.constantFrom('zone', 'disk'), label, { maxKeys: 2 }),
  state: fc.constantFrom(NodeState.NODE_READY, NodeState.NODE_READY, NodeState.NODE_DOWN),
  availability: fc.constantFrom(Availability.ACTIVE, Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN),
  runtime: fc.constantFrom('docker', 'docker', 'docker', 'process'),
});

const wish = fc.record({
  cpus: fc.integer({ min: 0, max: 4 }),
  gib: fc.integer({ min: 0, max: 4 }),
  constraints: fc.subarray(CONSTRAINTS),
  maxReplicasPerNode: fc.integer({ min: 0, max: 1 }),
});

const service = fc.record({ wish, replicas: fc.integer({ min: 1, max: 4 }), hasPort: fc.boolean() });

function specFrom(
  name: string,
  { wish: wanted, replicas, hasPort }: { wish: Parameters<typeof taskSpec>[0]; replicas: number; hasPort: boolean },
): ServiceSpec {
  const ports = hasPort ? [PortSpec.create({ mode: PortMode.HOST, publishedPort: 8080, targetPort: 80 })] : [];
  return specOf({ spec: { name, replicas, ports, task: taskSpec(wanted) } });
}

describe('the smallest change', () => {
  it('makes the scheduler place the task on the node for which it is named', () => {
    let fitted = 0;
    fc.assert(
      fc.property(
        fc.array(traits, { minLength: 1, maxLength: 3 }),
        fc.array(service, { minLength: 2, maxLength: 3 }),
        fc.boolean(),
        (nodes, services, lessReserved) => {
          const build = (): ReconcileModel => {
            const model = new ReconcileModel();
            nodes.forEach((each, index) => model.addNode({ ...each, id: `n${index}` }));
            services.forEach((each, index) => model.create(`s${index}`, specFrom(`s${index}`, each)));
            model.settle();
            return model;
          };
          const { state, clock } = build();
          for (const { id: serviceId } of state.all('services')) {
            for (const task of explainService(state, serviceId, clock).tasks) {
              for (const node of task.nodes.filter(({ canBeMadeToFit }) => canBeMadeToFit)) {
                const model = build();
                const waiting = model.tasks(serviceId).find(({ id }) => id === task.taskId) ?? assert.fail('the model is not repeatable');
                // Nowhere else.
                for (const { id } of [...model.state.all('nodes')]) {
                  if (id !== node.nodeId) makeUnfit(model, id);
                }
                applyChanges(model, serviceId, waiting.specNumber, node, lessReserved);
                const placed = placeAlone(model, waiting);
                assert.equal(placed.nodeId, node.nodeId, `${JSON.stringify(node)} ${placed.explanation ?? ''}`);
                fitted++;
              }
            }
          }
        },
      ),
      { numRuns: 40 },
    );
    assert.ok(fitted > 20, `only ${fitted} changes were tried`);
  });
});

function placeAlone({ state, clock }: ReconcileModel, task: Task): PlacementResult {
  const spec = specIn(state, task.serviceId, task.specNumber) ?? assert.fail();
  const { inventory } = new InventoryFeed(state, clock);
  const { id: taskId, serviceId, specNumber } = task;
  const request = { taskId, serviceId, specNumber, spec: spec.task ?? assert.fail(), ports: spec.ports };
  return place(inventory, [request], clock.nowMs())[0] ?? assert.fail();
}

/** What is on it is left alone. */
function makeUnfit(model: ReconcileModel, nodeId: string): void {
  const node = model.state.get('nodes', nodeId)?.value ?? assert.fail();
  model.world.change([row('nodes', nodeId, { ...node, spec: { ...(node.spec ?? assert.fail()), availability: Availability.PAUSE } })]);
}

function applyChanges(
  model: ReconcileModel,
  serviceId: string,
  specNumber: number,
  { nodeId, refusals }: ConsideredNode,
  lessReserved: boolean,
): void {
  for (const { change } of refusals) apply(model, serviceId, specNumber, nodeId, change ?? assert.fail(), lessReserved);
}

function apply(
  model: ReconcileModel,
  serviceId: string,
  specNumber: number,
  nodeId: string,
  change: SmallestChange,
  lessReserved: boolean,
): void {
  const { world, state } = model;
  const node = state.get('nodes', nodeId)?.value ?? assert.fail();
  const status = state.get('nodeStatus', nodeId)?.value ?? assert.fail();
  const nodeSpec = node.spec ?? assert.fail();
  const description = status.description ?? assert.fail();
  const resources = description.resources ?? assert.fail();
  const stored = state.get('specs', `${serviceId}/${specNumber}`)?.value ?? assert.fail();
  const spec = stored.spec ?? assert.fail();
  const task = spec.task ?? assert.fail();
  const placement = task.placement ?? assert.fail();
  const putTask = (changes: Partial<TaskSpec>): void => {
    world.change([row('specs', `${serviceId}/${specNumber}`, { ...stored, spec: { ...spec, task: { ...task, ...changes } } })]);
  };
  switch (change.kind) {
    case 'activate':
      world.change([row('nodes', nodeId, { ...node, spec: { ...nodeSpec, availability: Availability.ACTIVE } })]);
      return;
    case 'start-node':
      world.change([row('nodeStatus', nodeId, { ...status, state: NodeState.NODE_READY })]);
      return;
    case 'change-runtime': {
      const engine = { ...(description.engine ?? assert.fail()), runtime: 'docker' };
      world.change([row('nodeStatus', nodeId, { ...status, description: { ...description, engine } })]);
      return;
    }
    case 'set-label':
      world.change([
        row('nodes', nodeId, { ...node, spec: { ...nodeSpec, labels: { ...nodeSpec.labels, [change.label]: change.labelValue } } }),
      ]);
      return;
    case 'remove-label': {
      const labels = Object.fromEntries(Object.entries(nodeSpec.labels).filter(([key]) => key !== change.label));
      world.change([row('nodes', nodeId, { ...node, spec: { ...nodeSpec, labels } })]);
      return;
    }
    case 'free-resources': {
      const canBeFreed = change.memoryBytes + change.nanoCpus > 0;
      if (lessReserved || !canBeFreed) {
        putTask({ reservations: { pids: 0, memoryBytes: change.fittingMemoryBytes, nanoCpus: change.fittingNanoCpus } });
        return;
      }
      // As much as is freed, no byte more.
      const freed = {
        ...resources,
        memoryBytes: resources.memoryBytes + change.memoryBytes,
        nanoCpus: resources.nanoCpus + change.nanoCpus,
      };
      world.change([row('nodeStatus', nodeId, { ...status, description: { ...description, resources: freed } })]);
      return;
    }
    case 'drop-constraint':
      putTask({ placement: { ...placement, constraints: placement.constraints.filter((text) => text !== change.constraint) } });
      return;
    case 'raise-max-replicas':
      putTask({ placement: { ...placement, maxReplicasPerNode: change.maxReplicasPerNode } });
      return;
    case 'free-port': {
      const holders = [...state.tasksOfNode(nodeId)].filter(({ value }) =>
        change.heldBy.some((name) => name.startsWith(`${value.serviceId}.${value.slot}`)),
      );
      assert.ok(holders.length > 0, JSON.stringify(change));
      world.change(
        [],
        holders.flatMap(({ id }) => [['tasks', id] as const, ['taskStatus', id] as const]),
      );
      return;
    }
    default:
      assert.fail(`no such change: ${change.kind}`);
  }
}
