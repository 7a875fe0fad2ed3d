// The inventory that a leader keeps change by change is the one that a leader who starts now would make of the state.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InventoryFeed } from '../../../manager/leader/inventory-feed.ts';
import { UpdateConfig, UpdateOrder } from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { FAILING_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const NODES = ['n0', 'n1', 'n2'];

const spec = fc
  .record({
    replicas: fc.integer({ min: 0, max: 4 }),
    gib: fc.integer({ min: 0, max: 3 }),
    maxReplicasPerNode: fc.integer({ min: 0, max: 2 }),
    image: fc.constantFrom('a', 'b', FAILING_IMAGE),
    parallelism: fc.nat(2),
    order: fc.constantFrom(UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST),
  })
  .map(({ replicas, gib, maxReplicasPerNode, image, parallelism, order }) =>
    specOf({
      spec: {
        replicas,
        task: taskSpec({ gib, maxReplicasPerNode, image }),
        ports: [publish(8080, 80)],
        update: UpdateConfig.create({ parallelism, order, monitorMs: 100, delayMs: 500 }),
      },
    }),
  );

const step = fc.record({
  spec,
  /** Goes away before, if it is there, and comes back otherwise. */
  node: fc.option(fc.constantFrom(...NODES)),
  afterMs: fc.constantFrom(0, 1, 300, 5000, 60_000),
});

describe('the inventory of a leader', () => {
  it('does not depend on when it began to lead', () => {
    fc.assert(
      fc.property(spec, fc.array(step, { minLength: 1, maxLength: 6 }), (first, steps) => {
        const model = new ReconcileModel();
        for (const id of NODES) model.addNode({ id, gib: 4 });
        model.create('web', first);
        const kept = new InventoryFeed(model.state, model.clock);
        model.state.subscribe((changes) => {
          kept.note(changes);
        });
        const check = (): void => {
          const fresh = new InventoryFeed(model.state, model.clock).inventory;
          for (const { id } of model.state.all('tasks')) assert.deepEqual(kept.inventory.demandOf(id), fresh.demandOf(id), id);
        };
        for (const { spec: next, node, afterMs } of steps) {
          if (node !== null) {
            if (model.hosts.nodes.get(node)?.isCut === true) model.heal(node);
            else model.cut(node);
          }
          model.update('web', () => next);
          check();
          if (afterMs === 0) model.reconcile();
          else model.run(afterMs, check);
          check();
        }
      }),
      { numRuns: 120 },
    );
  });
});
