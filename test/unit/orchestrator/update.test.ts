import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { FailureAction, PortProtocol, type ServiceSpec, TaskState, UpdateConfig, UpdateOrder, UpdateState } from '../../../proto/index.ts';
import { progressOf } from '../../../manager/api/progress-view.ts';
import { hostPort, type NodeTraits, taskSpec, type Wish } from '../../support/placement.ts';
import { FAILING_IMAGE, REJECTED_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const CONFIG = UpdateConfig.create({ parallelism: 1, monitorMs: 5000 });

function web(replicas: number, update: Partial<UpdateConfig> = {}, wish: Wish = {}, more: Partial<ServiceSpec> = {}): ServiceSpec {
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task: taskSpec(wish), update: { ...CONFIG, ...update }, ...more } });
}

function running(spec: ServiceSpec, nodes: readonly NodeTraits[] = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]) {
  const model = new ReconcileModel();
  for (const node of nodes) model.addNode(node);
  model.create('web', spec);
  model.run(10_000);
  assert.equal(model.up('web').length, spec.replicas);
  return model;
}

function toImage(image: string): (spec: ServiceSpec) => ServiceSpec {
  return (spec) => ({ ...spec, task: taskSpec({ image }) });
}

function stateOf(model: ReconcileModel): UpdateState | undefined {
  return model.state.get('serviceStatus', 'web')?.value.update?.state;
}

function newOnes(model: ReconcileModel, number = 2): number {
  return model.tasks('web').filter((task) => task.specNumber === number && task.desired <= TaskState.RUNNING).length;
}

function serving(model: ReconcileModel): number {
  return model.tasks('web').filter((task) => !task.drain && model.isServing(task)).length;
}

function existing(model: ReconcileModel): number {
  return [...model.hosts.nodes.values()].flatMap((node) => [...node.tasks.values()]).filter(({ state }) => state === TaskState.RUNNING)
    .length;
}

describe('an update', () => {
  it('rolls start-first within its limits, never below the replicas, and completes after the monitor period', () => {
    const model = running(web(6, { parallelism: 2 }));
    model.update('web', toImage('v2'));
    model.run(4000, () => {
      assert.ok(serving(model) >= 6, `${serving(model)} serve`);
      assert.ok(existing(model) <= 8, `${existing(model)} exist`);
    });
    assert.equal(newOnes(model), 6);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.run(2000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.deepEqual(
      model.events.filter(({ type }) => type === 'service').map(({ message }) => message),
      ['update started', 'update completed'],
    );
  });

  it('begins with the next slot only when what was replaced has stopped', () => {
    const model = running(web(3));
    model.update('web', toImage('v2'));
    const old = model.tasks('web').find(({ slot, specNumber }) => slot === 1 && specNumber === 1) ?? assert.fail();
    const others = [...model.hosts.nodes.keys()].filter((id) => id !== old.nodeId);
    for (let round = 0; round < 10; round++) {
      model.reconcile();
      // The old one's own node is slow to stop it.
      for (const id of model.state.get('tasks', old.id)?.value.desired === TaskState.SHUTDOWN ? others : model.hosts.nodes.keys())
        model.hosts.stepAgent(id);
      model.hosts.acknowledge();
    }
    assert.equal(model.state.get('tasks', old.id)?.value.desired, TaskState.SHUTDOWN);
    assert.equal(newOnes(model), 1);
    model.settle();
    assert.equal(newOnes(model), 3);
  });

  it('rolls stop-first without a port: one down, none too many', () => {
    const model = running(web(4, {}, {}, { ports: [] }));
    model.update('web', toImage('v2'));
    model.run(4000, () => {
      assert.ok(serving(model) >= 3);
      assert.ok(existing(model) <= 4);
    });
    assert.equal(newOnes(model), 4);
  });

  it('does all at once with parallelism 0', () => {
    const model = running(web(6, { parallelism: 0 }));
    model.update('web', toImage('v2'));
    model.reconcile();
    assert.equal(newOnes(model), 6);
  });

  it('waits its delay between slots', () => {
    const model = running(web(3, { delayMs: 10_000 }));
    model.update('web', toImage('v2'));
    model.run(9000);
    assert.equal(newOnes(model), 1);
    model.run(10_000);
    assert.equal(newOnes(model), 2);
  });

  it('is none when nothing changes for the tasks', () => {
    const model = running(web(3));
    const before = model.tasks('web');
    model.scale('web', 3);
    model.update('web', (spec) => ({ ...spec, ports: [publish(9090, 80)], labels: { a: 'b' } }));
    model.update('web', (spec) => ({
      ...spec,
      task: {
        ...taskSpec({ constraints: ['node.platform.os==linux'] }),
        container: spec.task?.container && { ...spec.task.container, registryAuth: 'x' },
      },
    }));
    model.run(10_000);
    assert.deepEqual(model.tasks('web'), before);
    assert.equal(stateOf(model), undefined);
    assert.equal(model.state.get('serviceStatus', 'web')?.value.activeSpecNumber, 4);
  });

  it('moves only tasks whose node the new placement does not allow', () => {
    const model = running(web(3));
    model.update('web', (spec) => ({ ...spec, task: taskSpec({ constraints: ['node.id!=a'] }) }));
    model.run(10_000);
    assert.deepEqual(
      model
        .up('web')
        .map((entry) => entry.split('@')[1])
        .sort(),
      ['b', 'b', 'c'],
    );
    assert.equal(newOnes(model), 1);
  });

  it('restarts everything when forced', () => {
    const model = running(web(2));
    model.update('web', (spec) => ({ ...spec, task: spec.task && { ...spec.task, forceUpdate: 1 } }));
    model.run(10_000);
    assert.equal(newOnes(model), 2);
  });

  it('pauses when a new task fails within the monitor period, and leaves the old ones be', () => {
    const model = running(web(4));
    model.update('web', toImage(FAILING_IMAGE));
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
    assert.match(
      model.state.get('serviceStatus', 'web')?.value.update?.message ?? '',
      /update paused due to failure of task web\.\d, which failed: exit code 1/,
    );
    assert.equal(serving(model), 4);
    model.update('web', toImage('v3'));
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.equal(newOnes(model, 3), 4);
    assert.equal(existing(model), 4);
  });

  it('goes on past failures where it is told to', () => {
    const model = running(web(3, { failureAction: FailureAction.FAILURE_CONTINUE, order: UpdateOrder.STOP_FIRST }));
    model.update('web', toImage(REJECTED_IMAGE));
    model.run(60_000);
    assert.equal(serving(model), 0);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
  });

  it('allows failures up to its ratio', () => {
    const model = running(web(4, { maxFailureRatio: 0.3 }));
    model.update('web', toImage('v2'));
    model.reconcile();
    model.settle(() => {
      const first = model.tasks('web').find((task) => task.specNumber === 2);
      if (first?.replaces !== '' && newOnes(model) === 1 && model.isServing(first ?? assert.fail())) model.hosts.crash(first?.id ?? '');
    });
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.equal(newOnes(model), 4);
  });

  it("replaces a paused service's tasks by their own spec", () => {
    const model = running(web(3));
    model.update('web', toImage(FAILING_IMAGE));
    model.run(30_000);
    const old = model
      .tasks('web')
      .find((task) => task.specNumber === 1 && task.desired === TaskState.RUNNING && !task.drain && task.slot === 3);
    model.hosts.crash(old?.id ?? '');
    model.run(10_000);
    assert.equal(model.tasks('web').find(({ replaces }) => replaces === old?.id)?.specNumber, 1);
    assert.equal(serving(model), 3);
  });

  it('that is paused does not chase a task from node to node whose placement alone has changed', () => {
    const model = new ReconcileModel();
    for (const id of ['a', 'b']) model.addNode({ id, labels: { zone: id } });
    model.create('web', web(5, { parallelism: 2 }));
    model.run(10_000);
    model.update('web', toImage(FAILING_IMAGE));
    model.run(20_000);
    model.update('web', (spec) => ({ ...spec, task: taskSpec({ image: FAILING_IMAGE, constraints: ['node.labels.zone==b'] }) }));
    let made = 0;
    const known = new Set<string>();
    model.run(60_000, () => {
      for (const { id } of model.tasks('web')) {
        if (!known.has(id)) made++;
        known.add(id);
      }
    });
    assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
    assert.ok(made < 30, `${made} tasks were made`);
  });

  it('is overtaken by a newer spec, slot by slot', () => {
    const model = running(web(4));
    model.update('web', toImage('v2'));
    model.reconcile();
    model.hosts.stepAgents();
    model.update('web', toImage('v3'));
    model.run(20_000, () => assert.ok(existing(model) <= 5));
    assert.equal(newOnes(model, 3), 4);
    assert.equal(existing(model), 4);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
  });

  it('replaces tasks that have no node without counting them', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a', cpus: 2 });
    model.create('web', web(5, {}, { cpus: 1 }));
    model.settle();
    model.update('web', (spec) => ({ ...spec, task: taskSpec({ cpus: 0.25 }) }));
    model.run(20_000);
    assert.equal(model.up('web').length, 5);
    assert.equal(newOnes(model), 5);
    assert.equal(model.tasks('web').filter(({ replaces }) => replaces !== '').length, 2);
  });

  it("falls back to stop-first where the new task fits only in the old one's place", () => {
    const model = running(web(2, {}, { cpus: 1 }), [
      { id: 'a', cpus: 1 },
      { id: 'b', cpus: 1 },
    ]);
    model.update('web', () => web(2, {}, { cpus: 1, image: 'v2' }));
    model.run(20_000, () => assert.ok(existing(model) >= 1));
    assert.equal(newOnes(model), 2);
    assert.equal(model.up('web').length, 2);
  });

  it('keeps the old tasks where the new ones fit nowhere', () => {
    const model = running(web(2));
    model.update('web', () => web(2, {}, { constraints: ['node.labels.none==x'], image: 'v2' }));
    model.run(60_000);
    assert.equal(serving(model), 2);
    assert.equal(model.tasks('web').filter(({ drain }) => drain).length, 0);
  });

  it('keeps the old tasks where their node lacks what the new ones ask for, for their leaving would help nothing', () => {
    const wishes: readonly Wish[] = [{ logDriver: 'nosuch' }, { image: 'process' }, { platforms: [{ os: 'plan9', arch: '' }] }];
    for (const wish of wishes) {
      const model = running(web(2), [
        { id: 'a', plugins: ['log/json-file'] },
        { id: 'b', plugins: ['log/json-file'] },
      ]);
      model.update('web', () => web(2, {}, { image: 'v2', ...wish }));
      model.run(60_000);
      assert.equal(serving(model), 2, JSON.stringify(wish));
      assert.equal(model.tasks('web').filter(({ drain }) => drain).length, 0);
      assert.deepEqual(
        model.events.filter(({ action }) => action === 'fallback'),
        [],
      );
      const { running: updated, waiting } = progressOf(model.state, 'web');
      assert.equal(updated, 0, 'none runs the new version');
      assert.match(waiting.map(({ message }) => message).join(), /no suitable node/);
    }
  });

  it('with a host port stops before it starts', () => {
    const model = running(web(3, {}, {}, { ports: [hostPort(PortProtocol.TCP, 9000)] }));
    model.update('web', toImage('v2'));
    model.run(20_000, () => assert.ok(existing(model) <= 3));
    assert.equal(newOnes(model), 3);
    assert.equal(model.up('web').length, 3);
  });

  it('forgets specs that no task names, but those of its history', () => {
    const model = running(web(1));
    for (let n = 0; n < 20; n++) model.update('web', (spec) => ({ ...spec, labels: { n: String(n) } }));
    model.settle();
    const numbers = [...model.state.all('specs')].map(({ value }) => value.number).sort((one, other) => one - other);
    assert.deepEqual(numbers, [1, ...Array.from({ length: 6 }, (_, index) => index + 16)]);
  });

  it('that is paused gives a slot back to its old task, come back with its node, rather than holding the next one back for ever', () => {
    const model = running(web(1, { order: UpdateOrder.STOP_FIRST }));
    const [old] = model.tasks('web');
    model.cut(old?.nodeId ?? '');
    model.update('web', toImage(FAILING_IMAGE));
    for (let round = 0; stateOf(model) !== UpdateState.UPDATE_PAUSED; round++) {
      assert.ok(round < 20, 'is not paused');
      model.step();
    }
    model.heal(old?.nodeId ?? '');
    model.run(60_000, () => assert.ok(existing(model) <= 1, `${existing(model)} exist`));
    const wanted = model.tasks('web').filter(({ desired }) => desired <= TaskState.RUNNING);
    assert.deepEqual(
      wanted.map(({ id }) => id),
      [old?.id],
    );
    assert.equal(serving(model), 1);
    model.update('web', toImage('v3'));
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.equal(newOnes(model, 3), 1);
  });

  it('keeps one old task of a slot, not two, when a lost one comes back while the new one does not come up', () => {
    const model = running(web(1), [{ id: 'a' }, { id: 'b' }]);
    const [first] = model.tasks('web');
    const lost = first?.nodeId ?? assert.fail();
    model.cut(lost);
    model.run(10_000);
    assert.equal(serving(model), 1, 'another node has taken over');
    model.update('web', toImage(REJECTED_IMAGE));
    model.run(10_000);
    model.heal(lost);
    model.run(20_000);
    assert.equal(serving(model), 1);
    assert.equal(existing(model), 1, 'the one that took over serves on, the one that came back is stopped');
  });
});
