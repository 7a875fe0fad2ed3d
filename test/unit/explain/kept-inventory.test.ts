import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { explainService, KeptInventory } from '../../../manager/explain/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { specOf } from '../../support/service-specs.ts';

function cluster(): { readonly model: ReconcileModel; readonly kept: KeptInventory } {
  const model = new ReconcileModel();
  model.addNode({ id: 'a', cpus: 2 });
  model.create('web', specOf({ spec: { replicas: 3, task: taskSpec({ cpus: 1 }) } }));
  model.run(10_000);
  return { model, kept: new KeptInventory(model.state, model.clock) };
}

describe('the inventory that explanations are made from', () => {
  it('is built once, and follows every change', () => {
    const { model, kept } = cluster();
    const first = kept.get();
    const same = (): void => {
      const explained = explainService(model.state, 'web', model.clock, () => kept.get());
      assert.deepEqual(explained, explainService(model.state, 'web', model.clock));
    };
    same();
    model.addNode({ id: 'b', cpus: 1, labels: { disk: 'ssd' } });
    same();
    model.scale('web', 5);
    model.settle();
    same();
    model.cut('a');
    model.settle();
    same();
    model.removeNode('a');
    model.settle();
    same();
    assert.equal(kept.get(), first);
  });

  it('is dropped by the first change after nobody has asked for a minute', () => {
    const { model, kept } = cluster();
    const first = kept.get();
    model.clock.advance(59_000);
    model.addNode({ id: 'b' });
    assert.equal(kept.get(), first);
    model.clock.advance(60_000);
    assert.equal(kept.get(), first);
    model.clock.advance(60_000);
    model.addNode({ id: 'c' });
    assert.notEqual(kept.get(), first);
    assert.equal([...kept.get().nodes()].length, 3);
  });
});
