import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  Availability,
  HoldReason,
  NodeWatch,
  OnReturn,
  RestartCondition,
  RestartPolicy,
  type ServiceSpec,
  type Task,
  TaskState,
  TaskStatus,
} from '../../../proto/index.ts';
import { taskSpec, type Wish } from '../../support/placement.ts';
import { COMPLETING_IMAGE, FAILING_IMAGE, REJECTED_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';

function web(replicas: number, more: Partial<ServiceSpec> = {}, wish: Wish = {}): ServiceSpec {
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task: taskSpec(wish), ...more } });
}

function cluster(nodes = ['a', 'b', 'c']): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of nodes) model.addNode({ id });
  return model;
}

function withRestart(spec: ServiceSpec, restart: Partial<RestartPolicy>): ServiceSpec {
  return { ...spec, task: spec.task && { ...spec.task, restart: RestartPolicy.create(restart) } };
}

function nodesOf(model: ReconcileModel): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const entry of model.up('web')) {
    const node = entry.split('@')[1] ?? '';
    counts[node] = (counts[node] ?? 0) + 1;
  }
  return counts;
}

describe('a replicated service', () => {
  it('ends exact when scaled 3, 30, 3, evenly spread', () => {
    const model = cluster();
    model.create('web', web(3));
    model.settle();
    assert.deepEqual(model.up('web'), ['1@a', '2@b', '3@c']);
    model.scale('web', 30);
    model.settle();
    assert.deepEqual(nodesOf(model), { a: 10, b: 10, c: 10 });
    model.scale('web', 3);
    model.run(20_000);
    assert.deepEqual(nodesOf(model), { a: 1, b: 1, c: 1 });
    assert.equal(model.tasks('web').length, 3);
    assert.equal(model.state.count('slots'), 3);
    assert.equal(model.state.count('taskStatus'), 3);
  });

  it('fills the lowest free slots', () => {
    const model = cluster(['a']);
    model.create('web', web(3));
    model.settle();
    model.scale('web', 1);
    model.run(20_000);
    model.scale('web', 4);
    model.settle();
    assert.deepEqual(
      model
        .tasks('web')
        .map(({ slot }) => slot)
        .sort(),
      [1, 2, 3, 4],
    );
  });

  it('drains in parallel when scaled down, and takes nobody back who left', () => {
    const model = cluster();
    model.create('web', web(6));
    model.settle();
    model.scale('web', 2);
    model.reconcile();
    assert.equal(model.tasks('web').filter(({ drain }) => drain).length, 4);
    assert.equal(model.tasks('web').filter(({ desired }) => desired > TaskState.RUNNING).length, 0);
    model.run(20_000);
    assert.equal(model.up('web').length, 2);
    assert.equal(model.tasks('web').length, 2);
  });

  it('stands by its choice, even when another task would now be the better one to take', () => {
    const model = cluster();
    model.create('web', web(6));
    model.settle();
    model.scale('web', 5);
    model.reconcile();
    const leaving = model.tasks('web').find(({ drain }) => drain) ?? assert.fail();
    model.hosts.busy.add(leaving.id);
    for (const other of model.tasks('web')) if (other !== leaving) model.hosts.crash(other.id);
    model.settle();
    assert.deepEqual(
      model
        .tasks('web')
        .filter(({ drain }) => drain)
        .map(({ id }) => id),
      [leaving.id],
    );
  });

  it('lets draining tasks stay that are wanted again', () => {
    const model = cluster();
    model.create('web', web(6));
    model.settle();
    const before = model
      .tasks('web')
      .map(({ id }) => id)
      .sort();
    model.scale('web', 2);
    model.reconcile();
    model.scale('web', 6);
    model.settle();
    assert.deepEqual(
      model
        .tasks('web')
        .map(({ id }) => id)
        .sort(),
      before,
    );
    assert.equal(model.up('web').length, 6);
  });

  it('takes tasks without a node first when scaled down', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a', cpus: 3 });
    model.create('web', web(5, {}, { cpus: 1 }));
    model.settle();
    assert.equal(model.up('web').length, 3);
    const running = model.up('web');
    model.scale('web', 3);
    model.settle();
    assert.deepEqual(model.up('web'), running);
    assert.equal(model.tasks('web').length, 3);
  });

  it('says why a task waits, and places it when there is room', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a', cpus: 1 });
    model.create('web', web(2, {}, { cpus: 1 }));
    model.settle();
    const waiting = model.tasks('web').find(({ nodeId }) => nodeId === '');
    assert.equal(waiting?.verdict?.message, 'no suitable node (insufficient resources on 1 node)');
    model.addNode({ id: 'b', cpus: 1 });
    model.settle();
    assert.deepEqual(model.up('web'), ['1@a', '2@b']);
  });

  it('is gone with all its rows when removed, at once and without a drain', () => {
    const model = cluster();
    model.create('web', web(3));
    model.settle();
    model.remove('web');
    model.reconcile();
    assert.ok(model.tasks('web').every(({ desired }) => desired === TaskState.REMOVE));
    model.settle();
    for (const table of ['tasks', 'taskStatus', 'slots', 'specs', 'serviceStatus'] as const)
      assert.equal(model.state.count(table), 0, table);
  });

  it('forgets a removed service once its silent node is removed, too', () => {
    const model = cluster();
    model.create('web', web(3));
    model.settle();
    model.cut('a');
    model.remove('web');
    model.settle();
    assert.equal(model.tasks('web').length, 1);
    model.removeNode('a');
    model.settle();
    assert.equal(model.state.count('specs'), 0);
    assert.equal(model.state.count('tasks'), 0);
  });
});

describe('a task that ends', () => {
  it('is replaced at once, and started after its delay', () => {
    const model = cluster();
    model.create('web', withRestart(web(2), { delayMs: 5000 }));
    model.settle();
    const [victim] = model.tasks('web');
    model.hosts.crash(victim?.id ?? '');
    model.settle();
    const next = model.tasks('web').find(({ replaces }) => replaces === victim?.id);
    assert.equal(next?.desired, TaskState.READY);
    assert.equal(model.statusOf(next.id), TaskState.READY);
    model.run(4999);
    assert.equal(model.up('web').length, 1);
    model.run(1);
    assert.equal(model.up('web').length, 2);
    assert.match(model.events.at(-1)?.message ?? '', /exit code 1: it broke; it is replaced in 5s/);
  });

  it('backs off when it keeps failing, up to five minutes, and keeps five of its history', () => {
    const model = cluster();
    model.create('web', web(1, {}, { image: FAILING_IMAGE }));
    model.run(3_600_000);
    const tasks = model.tasks('web');
    assert.equal(tasks.length, 6);
    const delays = tasks.map(({ restart }) => restart?.delayMs);
    assert.equal(delays.at(-1), 300_000);
    assert.ok((tasks.at(-1)?.restart?.attempt ?? 0) < 25);
  });

  it('forgets a history of any length, and gives a slot up, in steps that one transaction holds', () => {
    const model = cluster();
    model.create('web', web(2));
    model.settle();
    for (const task of model.tasks('web')) {
      const rows = Array.from({ length: 150 }, (_, index) => {
        const id = `${task.id}-${index}`;
        const old = row('tasks', id, { ...task, id, desired: TaskState.SHUTDOWN });
        return [old, row('taskStatus', id, TaskStatus.create({ taskId: id, nodeId: task.nodeId, state: TaskState.SHUTDOWN }))];
      });
      model.world.change(rows.flat());
    }
    model.scale('web', 1);
    for (let pass = 0; pass < 20; pass++) {
      for (const group of model.plan('web')) assert.ok(group.writes.length + group.requires.length < 100);
      model.settle();
    }
    assert.ok(model.tasks('web').length <= 6, `${model.tasks('web').length} tasks are left`);
  });

  it('waits between attempts to prepare it, though these come before its turn to start', () => {
    const model = cluster();
    model.create('web', web(1, {}, { image: REJECTED_IMAGE }));
    model.run(60_000);
    const attempts = model.tasks('web').at(-1)?.restart?.attempt ?? 0;
    assert.ok(attempts >= 3 && attempts <= 5, `${attempts} attempts`);
  });

  it('counts anew after ten minutes of health', () => {
    const model = cluster();
    model.create('web', web(1));
    model.settle();
    const crash = (): number | undefined => {
      const current = model.tasks('web').at(-1);
      model.hosts.crash(current?.id ?? '');
      model.settle();
      return model.tasks('web').at(-1)?.restart?.delayMs;
    };
    assert.equal(crash(), 5000);
    model.run(6000);
    assert.equal(crash(), 10_000);
    model.run(10_000 + 600_000);
    assert.equal(crash(), 5000);
  });

  it('is not replaced beyond its attempts', () => {
    const model = cluster();
    model.create('web', withRestart(web(1, {}, { image: FAILING_IMAGE }), { maxAttempts: 2, delayMs: 1000 }));
    model.run(600_000);
    assert.equal(model.tasks('web').length, 3);
    assert.deepEqual(model.plan('web'), []);
    assert.match(model.events.at(-1)?.message ?? '', /its restart attempts are used up: it is not replaced/);
  });

  describe('whose attempts are counted within a window', () => {
    const windowed = (image = 'steady'): ReconcileModel => {
      const model = cluster();
      model.create('web', withRestart(web(1, {}, { image }), { maxAttempts: 2, delayMs: 1000, windowMs: 60_000 }));
      model.settle();
      return model;
    };
    const holder = (model: ReconcileModel): Task => model.tasks('web').at(-1) ?? assert.fail('no task');
    const crash = (model: ReconcileModel): void => {
      model.hosts.crash(holder(model).id);
      model.run(2000);
    };

    it('is given up for good once they are used up within it', () => {
      const model = windowed(FAILING_IMAGE);
      model.run(50_000);
      assert.equal(holder(model).restart?.attempt, 2);
      model.run(600_000);
      assert.equal(model.tasks('web').length, 3);
      assert.equal(model.events.filter(({ message }) => message.includes('are used up')).length, 1);
      model.changeLeader();
      model.run(600_000);
      assert.equal(model.tasks('web').length, 3);
      assert.equal(model.events.filter(({ message }) => message.includes('are used up')).length, 1);
      // Until somebody changes the service.
      model.update('web', (spec) => ({ ...spec, labels: { again: 'yes' } }));
      model.run(600_000);
      assert.equal(holder(model).restart?.attempt, 2);
    });

    it('goes on as long as there is room in the window', () => {
      const model = windowed();
      for (let attempt = 1; attempt <= 6; attempt++) {
        crash(model);
        assert.equal(holder(model).restart?.attempt, attempt);
        model.run(31_000);
      }
    });

    it('is counted on by the next leader: what was in the window still is, what had left it does not come back', () => {
      const model = windowed();
      crash(model);
      crash(model);
      model.changeLeader();
      crash(model);
      assert.equal(holder(model).gaveUp, true);
      const patient = windowed();
      crash(patient);
      crash(patient);
      patient.run(61_000);
      patient.changeLeader();
      crash(patient);
      assert.deepEqual([holder(patient).gaveUp, holder(patient).restart?.attempt], [false, 3]);
    });
  });

  it('stays as it is where the condition says so', () => {
    for (const [image, condition, expected] of [
      [COMPLETING_IMAGE, RestartCondition.ON_FAILURE, 1],
      [FAILING_IMAGE, RestartCondition.NONE, 1],
      [FAILING_IMAGE, RestartCondition.ON_FAILURE, 3],
      [COMPLETING_IMAGE, RestartCondition.ANY, 3],
    ] as const) {
      const model = cluster();
      model.create('web', withRestart(web(1, {}, { image }), { condition, delayMs: 1000 }));
      model.run(1500);
      assert.equal(model.tasks('web').length, expected, `${image} ${condition}`);
    }
  });

  it('waits its delay anew under a new leader', () => {
    const model = cluster();
    model.create('web', withRestart(web(1), { delayMs: 5000 }));
    model.settle();
    model.hosts.crash(model.tasks('web')[0]?.id ?? '');
    model.run(4000);
    model.changeLeader();
    model.run(4000);
    assert.equal(model.up('web').length, 0);
    model.run(1000);
    assert.equal(model.up('web').length, 1);
  });
});

describe('nodes', () => {
  it('that go down have their tasks replaced without delay, and lose the extra ones when they return', () => {
    const model = cluster();
    model.create('web', web(6));
    model.settle();
    model.cut('a');
    model.settle();
    assert.deepEqual(nodesOf(model), { b: 3, c: 3 });
    assert.equal(model.tasks('web').filter(({ lost, desired }) => lost && desired === TaskState.RUNNING).length, 2);
    model.heal('a');
    model.run(20_000);
    assert.deepEqual(nodesOf(model), { b: 3, c: 3 });
    assert.equal(model.hosts.nodes.get('a')?.tasks.size, 2);
    assert.ok([...(model.hosts.nodes.get('a')?.tasks.values() ?? [])].every(({ state }) => state === TaskState.SHUTDOWN));
  });

  it('that return take their slots back where the service keeps the old tasks, and the extra ones go', () => {
    const model = cluster();
    model.create('web', web(6, { onReturn: OnReturn.KEEP_OLD }));
    model.settle();
    const before = model.up('web');
    model.cut('a');
    model.run(10_000);
    assert.deepEqual(nodesOf(model), { b: 3, c: 3 });
    model.heal('a');
    model.run(20_000);
    assert.deepEqual(model.up('web'), before);
    assert.deepEqual(nodesOf(model), { a: 2, b: 2, c: 2 });
  });

  it('that return with tasks of an older spec do not get their slots back', () => {
    const model = cluster();
    model.create('web', web(6, { onReturn: OnReturn.KEEP_OLD }));
    model.settle();
    model.cut('a');
    model.run(10_000);
    model.update('web', (spec) => ({ ...spec, task: { ...(spec.task ?? taskSpec({})), forceUpdate: 1 } }));
    model.run(60_000);
    model.heal('a');
    model.run(20_000);
    assert.equal(model.up('web').length, 6);
    assert.equal(nodesOf(model)['a'], undefined);
  });

  it('that are down but held keep their tasks, and nothing takes over', () => {
    const model = cluster();
    model.create('web', web(6));
    model.settle();
    const before = model.tasks('web').map(({ id }) => id);
    const nonce = model.state.get('sessions', 'a')?.value.nonce ?? '';
    const held = { nodeId: 'a', sessionNonce: nonce, reason: HoldReason.HOLD_MASS_LOSS, sinceUnixMs: 1 };
    model.world.change([row('nodeWatch', '', NodeWatch.create({ held: [held] }))]);
    model.cut('a');
    model.run(30_000);
    assert.deepEqual(
      model.tasks('web').map(({ id }) => id),
      before,
    );
    model.world.change([row('nodeWatch', '', NodeWatch.create({}))]);
    model.run(30_000);
    assert.deepEqual(nodesOf(model), { b: 3, c: 3 });
  });

  it('that return before anything took over keep their tasks', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a', cpus: 2 });
    model.create('web', web(2, {}, { cpus: 1 }));
    model.settle();
    const before = model.up('web');
    model.cut('a');
    model.settle();
    assert.equal(model.tasks('web').length, 4);
    model.heal('a');
    model.settle();
    assert.deepEqual(model.up('web'), before);
    assert.equal(model.tasks('web').length, 2);
  });

  it('that are removed leave orphans and are replaced', () => {
    const model = cluster();
    model.create('web', web(3));
    model.settle();
    model.removeNode('a');
    model.settle();
    assert.equal(model.up('web').length, 3);
    const orphan = model.tasks('web').find(({ nodeId }) => nodeId === 'a');
    assert.equal(orphan?.verdict?.state, TaskState.ORPHANED);
    assert.ok(orphan.desired >= TaskState.SHUTDOWN);
  });

  it('that are drained empty, start-first, never below the replicas', () => {
    const model = cluster();
    model.create('web', web(6));
    model.settle();
    model.setAvailability('a', Availability.DRAIN);
    model.run(1000, () => {
      const serving = model.tasks('web').filter((task) => !task.drain && model.isServing(task)).length;
      assert.ok(serving >= 6, `${serving} serve`);
    });
    assert.deepEqual(nodesOf(model), { b: 3, c: 3 });
  });

  it('that are drained empty, stop-first where only one may have the data', () => {
    const model = cluster();
    model.create('web', web(6, { ports: [] }));
    model.settle();
    model.setAvailability('a', Availability.DRAIN);
    model.run(1000, () => {
      assert.ok(model.up('web').length >= 5);
      assert.ok(model.tasks('web').filter((task) => model.isServing(task)).length <= 6);
    });
    assert.deepEqual(nodesOf(model), { b: 3, c: 3 });
  });

  it('that are paused keep what they have and get nothing', () => {
    const model = cluster();
    model.create('web', web(3));
    model.settle();
    model.setAvailability('a', Availability.PAUSE);
    model.settle();
    assert.equal(nodesOf(model)['a'], 1);
    model.scale('web', 6);
    model.settle();
    assert.deepEqual(nodesOf(model), { a: 1, b: 3, c: 2 });
  });

  it('that no longer satisfy the constraints have their tasks rejected and replaced', () => {
    const model = new ReconcileModel();
    for (const id of ['a', 'b']) model.addNode({ id, labels: { disk: 'ssd' } });
    model.create('web', web(2, {}, { constraints: ['node.labels.disk==ssd'] }));
    model.settle();
    model.setLabels('a', { disk: 'hdd' });
    model.run(1000);
    assert.deepEqual(model.up('web'), ['1@b', '2@b']);
    const rejected = model.tasks('web').find(({ verdict }) => verdict?.state === TaskState.REJECTED);
    assert.match(rejected?.verdict?.message ?? '', /constraint node.labels.disk==ssd is not satisfied/);
  });

  const ssd = (ids: readonly string[]): ReconcileModel => {
    const model = new ReconcileModel();
    for (const id of ids) model.addNode({ id, labels: { disk: 'ssd' } });
    return model;
  };
  const rejections = (model: ReconcileModel): readonly string[] =>
    model.tasks('web').flatMap(({ verdict }) => (verdict?.state === TaskState.REJECTED ? [verdict.message] : []));

  it('lose their tasks at once when they no longer satisfy the constraints, whatever the update limits', () => {
    const model = ssd(['a', 'b']);
    // No ingress port: nobody's connection is lost when the old ones stop first.
    model.create('web', web(6, { ports: [] }, { constraints: ['node.labels.disk==ssd'] }));
    model.settle();
    model.setLabels('a', {});
    model.reconcile();
    const told = model.tasks('web').filter(({ nodeId, desired }) => nodeId === 'a' && desired === TaskState.SHUTDOWN);
    assert.equal(told.length, 3);
    model.settle();
    assert.deepEqual(nodesOf(model), { b: 6 });
  });

  it('keep serving from tasks that must go until their replacements do', () => {
    const model = ssd(['a', 'b']);
    model.create('web', web(4, {}, { constraints: ['node.labels.disk==ssd'] }));
    model.settle();
    model.setLabels('a', {});
    const serving = (): number => model.tasks('web').filter((task) => model.isServing(task)).length;
    model.run(1000, () => assert.ok(serving() >= 4));
    assert.deepEqual(nodesOf(model), { b: 4 });
  });

  it('lose tasks that fit nowhere any more, and the tasks in their place say why they wait', () => {
    const model = ssd(['a']);
    model.create('web', web(2, {}, { constraints: ['node.labels.disk==ssd'] }));
    model.settle();
    model.setLabels('a', {});
    model.run(20_000);
    assert.deepEqual(model.up('web'), []);
    assert.equal(rejections(model).length, 2);
    const waiting = model.tasks('web').filter(({ desired }) => desired <= TaskState.RUNNING);
    assert.deepEqual(
      waiting.map(({ verdict }) => [verdict?.state, verdict?.message]),
      [1, 2].map(() => [TaskState.PENDING, 'no suitable node (scheduling constraints not satisfied on 1 node)']),
    );
    model.setLabels('a', { disk: 'ssd' });
    model.settle();
    assert.deepEqual(nodesOf(model), { a: 2 });
  });

  it('keep the tasks of an earlier spec where its update has made the constraints stricter and nothing fits', () => {
    const model = ssd(['a']);
    model.create('web', web(2));
    model.settle();
    model.update('web', () => web(2, {}, { constraints: ['node.labels.disk==none'] }));
    model.run(20_000);
    assert.equal(model.tasks('web').filter((task) => model.isServing(task)).length, 2);
  });

  it('that have become too small for what is reserved lose the newest tasks', () => {
    const model = new ReconcileModel();
    model.addNode({ id: 'a', cpus: 4 });
    model.create('web', web(3, {}, { cpus: 1 }));
    model.settle();
    const [first] = [...model.state.tasksOfService('web')].sort((one, other) => one.createRevision - other.createRevision);
    model.addNode({ id: 'a', cpus: 1 });
    model.addNode({ id: 'b', cpus: 4 });
    model.run(1000);
    assert.deepEqual(nodesOf(model), { a: 1, b: 2 });
    assert.equal(model.tasks('web').find(({ nodeId, desired }) => nodeId === 'a' && desired === TaskState.RUNNING)?.id, first?.id);
    assert.match(rejections(model).join(), /insufficient resources/);
  });
});
