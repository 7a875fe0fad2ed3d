import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type ServiceSpec, TaskState } from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

function web(replicas: number, more: Partial<ServiceSpec> = {}): ServiceSpec {
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task: taskSpec(), ...more } });
}

/** Two replicas, of which the second has just been marked. */
function draining(more: Partial<ServiceSpec> = {}): { readonly model: ReconcileModel; readonly taskId: string } {
  const model = new ReconcileModel();
  for (const id of ['a', 'b', 'c']) model.addNode({ id });
  model.create('web', web(2, more));
  model.settle();
  model.scale('web', 1);
  model.reconcile();
  const marked = model.tasks('web').find(({ drain }) => drain) ?? assert.fail('nobody drains');
  return { model, taskId: marked.id };
}

function desiredOf(model: ReconcileModel, taskId: string): TaskState | undefined {
  return model.state.get('tasks', taskId)?.value.desired;
}

describe('a draining task', () => {
  it('is told to stop once every mesh has acknowledged and has no connection to it', () => {
    const { model, taskId } = draining();
    model.reconcile();
    assert.equal(desiredOf(model, taskId), TaskState.RUNNING);
    model.hosts.acknowledge();
    model.reconcile();
    assert.equal(desiredOf(model, taskId), TaskState.REMOVE);
  });

  it('keeps its open connections for the drain period, not longer', () => {
    const { model, taskId } = draining({ drainPeriodMs: 3000 });
    model.hosts.busy.add(taskId);
    model.run(2999);
    assert.equal(desiredOf(model, taskId), TaskState.RUNNING);
    model.run(1);
    assert.equal(desiredOf(model, taskId), undefined);
  });

  it('is done when its last connection is', () => {
    const { model, taskId } = draining();
    model.hosts.busy.add(taskId);
    model.run(4000);
    assert.equal(desiredOf(model, taskId), TaskState.RUNNING);
    model.hosts.busy.clear();
    model.settle();
    assert.equal(desiredOf(model, taskId), undefined);
  });

  it('waits five seconds for a mesh, then excuses and reports it', () => {
    const { model, taskId } = draining();
    const b = model.hosts.nodes.get('b') ?? assert.fail();
    b.meshDead = true;
    model.run(4999);
    assert.equal(desiredOf(model, taskId), TaskState.RUNNING);
    model.run(1);
    assert.equal(model.state.get('nodeStatus', 'b')?.value.meshUnready, true);
    assert.equal(desiredOf(model, taskId), undefined);
    assert.match(model.events.at(-1)?.message ?? '', /the mesh of node host-b does not acknowledge/);
  });

  it('does not wait for nodes that are down', () => {
    const { model, taskId } = draining();
    model.cut('c');
    model.settle();
    assert.equal(desiredOf(model, taskId), undefined);
  });

  it('gives a node that has just become ready its own five seconds', () => {
    const { model, taskId } = draining();
    (model.hosts.nodes.get('b') ?? assert.fail()).meshDead = true;
    model.run(4000);
    model.addNode({ id: 'late' });
    (model.hosts.nodes.get('late') ?? assert.fail()).meshDead = true;
    model.run(2000);
    assert.equal(model.state.get('nodeStatus', 'b')?.value.meshUnready, true);
    assert.equal(model.state.get('nodeStatus', 'late')?.value.meshUnready, false);
    assert.equal(desiredOf(model, taskId), TaskState.RUNNING);
    model.run(4000);
    assert.equal(model.state.get('nodeStatus', 'late')?.value.meshUnready, true);
    assert.equal(desiredOf(model, taskId), undefined);
  });

  it('believes no acknowledgement of another incarnation', () => {
    const { model, taskId } = draining();
    const cluster = model.state.get('cluster', '')?.value ?? assert.fail();
    model.world.change([(builder) => void builder.overwrite('cluster', '', { ...cluster, incarnation: 'second' })]);
    model.hosts.acknowledge();
    model.reconcile();
    assert.equal(desiredOf(model, taskId), TaskState.RUNNING);
  });

  it('that ends by itself is forgotten at once', () => {
    const { model, taskId } = draining();
    model.hosts.crash(taskId);
    model.hosts.stepAgents();
    model.reconcile();
    assert.equal(desiredOf(model, taskId), undefined);
  });
});

describe('a task that is stopped', () => {
  it('is not drained without a published port', () => {
    const { model } = (() => {
      const made = new ReconcileModel();
      made.addNode({ id: 'a' });
      made.create('web', web(2, { ports: [] }));
      made.settle();
      return { model: made };
    })();
    model.scale('web', 1);
    model.reconcile();
    assert.equal(model.tasks('web').filter(({ desired }) => desired === TaskState.REMOVE).length, 1);
  });

  it('is not drained before it accepts connections, and only while that is so', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a' });
    model.create('web', web(1));
    model.reconcile();
    model.hosts.stepAgents();
    model.scale('web', 0);
    const [group] = model.plan('web').filter(({ writes }) => writes.some(({ table }) => table === 'tasks'));
    const [task] = model.tasks('web');
    assert.deepEqual(
      group?.requires.map(({ table, id }) => `${table}/${id}`),
      [`taskStatus/${task?.id ?? ''}`],
    );
    model.settle();
    assert.equal(model.tasks('web').length, 0);
  });
});
