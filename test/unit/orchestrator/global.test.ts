import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Availability, ServiceMode, type ServiceSpec, TaskState } from '../../../proto/index.ts';
import { taskSpec, type Wish } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

function agent(wish: Wish = {}): ServiceSpec {
  return specOf({ spec: { name: 'agent', mode: ServiceMode.GLOBAL, replicas: 0, ports: [publish(8080, 80)], task: taskSpec(wish) } });
}

function running(wish: Wish = {}): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of ['a', 'b', 'c']) model.addNode({ id, labels: id === 'c' ? { disk: 'hdd' } : { disk: 'ssd' } });
  model.create('agent', agent(wish));
  model.settle();
  return model;
}

describe('a global service', () => {
  it('has a task on each node, and on those that come later', () => {
    const model = running();
    assert.deepEqual(model.up('agent'), ['a', 'b', 'c']);
    model.addNode({ id: 'd' });
    model.settle();
    assert.deepEqual(model.up('agent'), ['a', 'b', 'c', 'd']);
    assert.ok(model.tasks('agent').every(({ slot }) => slot === 0));
  });

  it('keeps to constraints, also when labels change', () => {
    const model = running({ constraints: ['node.labels.disk==ssd'] });
    assert.deepEqual(model.up('agent'), ['a', 'b']);
    model.setLabels('c', { disk: 'ssd' });
    model.setLabels('a', { disk: 'hdd' });
    model.run(20_000);
    assert.deepEqual(model.up('agent'), ['b', 'c']);
    assert.equal(model.tasks('agent').length, 2);
  });

  it('leaves drained nodes, and stays on paused ones', () => {
    const model = running();
    model.setAvailability('a', Availability.DRAIN);
    model.setAvailability('b', Availability.PAUSE);
    model.run(20_000);
    assert.deepEqual(model.up('agent'), ['b', 'c']);
    model.setAvailability('a', Availability.ACTIVE);
    model.settle();
    assert.deepEqual(model.up('agent'), ['a', 'b', 'c']);
  });

  it('waits for nodes that are down, and forgets those that are removed', () => {
    const model = running();
    const before = model.tasks('agent');
    model.cut('a');
    model.settle();
    assert.deepEqual(model.tasks('agent'), before);
    model.heal('a');
    model.settle();
    assert.deepEqual(model.tasks('agent'), before);
    model.removeNode('a');
    model.settle();
    assert.deepEqual(
      model
        .tasks('agent')
        .map(({ nodeId }) => nodeId)
        .sort(),
      ['b', 'c'],
    );
    assert.equal(model.state.count('slots'), 2);
  });

  it('updates past a node that is down, and brings it along when it is back', () => {
    const model = running();
    model.cut('a');
    model.update('agent', (spec) => ({ ...spec, task: taskSpec({ image: 'v2' }) }));
    model.run(20_000);
    const current = (): number => model.tasks('agent').filter((task) => task.specNumber === 2 && task.desired === TaskState.RUNNING).length;
    assert.equal(current(), 2);
    model.heal('a');
    model.run(20_000);
    assert.equal(current(), 3);
    assert.deepEqual(model.up('agent'), ['a', 'b', 'c']);
  });

  it('says on which node it does not fit', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a' });
    model.addNode({ id: 'small', cpus: 1 });
    model.create('agent', agent({ cpus: 2 }));
    model.settle();
    assert.deepEqual(model.up('agent'), ['a']);
    const waiting = model.tasks('agent').find(({ nodeId }) => nodeId === 'small') ?? assert.fail();
    assert.deepEqual(waiting.verdict?.state, TaskState.PENDING);
    assert.equal(waiting.verdict.message, 'no suitable node (insufficient resources on 1 node)');
    assert.equal(model.statusOf(waiting.id), TaskState.NEW);
  });
});
