import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { holdMs } from '../../../manager/orchestrator/move-damping.ts';
import { TaskState } from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { specOf } from '../../support/service-specs.ts';

const SSD = { disk: 'ssd' };

/** One task that only ever fits one of two nodes, and is chased between them by their labels. */
function chased(): { readonly model: ReconcileModel; readonly chase: () => void } {
  const model = new ReconcileModel();
  model.addNode({ id: 'a', labels: SSD });
  model.addNode({ id: 'b' });
  model.create('web', specOf({ spec: { replicas: 1, task: taskSpec({ constraints: ['node.labels.disk==ssd'] }) } }));
  model.settle();
  let home = 'a';
  return {
    model,
    chase() {
      const away = home === 'a' ? 'b' : 'a';
      model.setLabels(home, {});
      model.setLabels(away, SSD);
      home = away;
      model.settle();
    },
  };
}

function waiting(model: ReconcileModel) {
  return model.tasks('web').find((task) => task.held);
}

describe('a slot that is moved again and again', () => {
  it('has three moves for nothing, then waits ever longer before it is placed', () => {
    const { model, chase } = chased();
    for (let moves = 0; moves < 3; moves++) {
      chase();
      assert.equal(model.up('web').length, 1);
    }
    chase();
    const held = waiting(model) ?? assert.fail('nothing is held');
    assert.deepEqual([held.moves, held.verdict?.state], [4, TaskState.PENDING]);
    assert.equal(held.verdict?.message, 'its slot was moved 4 times in a row, each time within 1m0s: it gets a node after 5s');
    model.run(4000);
    assert.deepEqual(model.up('web'), []);
    model.run(1500);
    assert.equal(model.up('web').length, 1);
    chase();
    assert.match(waiting(model)?.verdict?.message ?? '', /moved 5 times .* after 10s$/);
    model.run(10_500);
    assert.equal(model.up('web').length, 1);
  });

  it('begins to count anew once a task has stayed', () => {
    const { model, chase } = chased();
    for (let moves = 0; moves < 20; moves++) {
      chase();
      assert.equal(model.up('web').length, 1);
      model.run(60_000);
    }
  });

  it('begins to count anew with a new spec, and is held no longer', () => {
    const { model, chase } = chased();
    for (let moves = 0; moves < 4; moves++) chase();
    assert.equal(model.up('web').length, 0);
    model.update('web', (spec) => ({ ...spec, task: taskSpec({ constraints: ['node.labels.disk==ssd'], image: 'web:2' }) }));
    model.settle();
    assert.equal(model.up('web').length, 1);
    assert.equal(waiting(model), undefined);
  });

  it('is held also when nodes are lost one after the other, and under another leader', () => {
    const model = new ReconcileModel();
    for (const id of ['a', 'b', 'c', 'd', 'e']) model.addNode({ id });
    model.create('web', specOf({ spec: { replicas: 1 } }));
    model.settle();
    for (let moves = 0; moves < 4; moves++) {
      model.cut(model.up('web')[0]?.split('@')[1] ?? assert.fail('it is not up'));
      model.settle();
    }
    assert.equal(waiting(model)?.moves, 4);
    model.run(4000);
    model.changeLeader();
    model.run(4000);
    assert.equal(model.up('web').length, 0);
    model.run(1500);
    assert.equal(model.up('web').length, 1);
  });

  it('doubles the delay up to five minutes', () => {
    assert.deepEqual([3, 4, 5, 6, 9, 10, 11, 1000].map(holdMs), [0, 5000, 10_000, 20_000, 160_000, 300_000, 300_000, 300_000]);
  });
});
