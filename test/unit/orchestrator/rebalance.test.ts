import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { CALM_MS } from '../../../manager/orchestrator/rebalance.ts';
import { RebalancePolicy, RebalanceState, type ServiceSpec, TaskState, UpdateConfig, UpdateOrder } from '../../../proto/index.ts';
import { taskSpec, type Wish } from '../../support/placement.ts';
import { FAILING_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const { REBALANCE_CANCELLED, REBALANCE_COMPLETED, REBALANCE_STOPPED, REBALANCING } = RebalanceState;
const AUTO = RebalancePolicy.REBALANCE_AUTO;

function web(replicas: number, more: Partial<ServiceSpec> = {}, wish: Wish = {}): ServiceSpec {
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task: taskSpec(wish), ...more } });
}

/** All on `a`; the others come later, empty. */
function lopsided(spec: ServiceSpec, others = ['b', 'c']): ReconcileModel {
  const model = new ReconcileModel();
  model.addNode({ id: 'a' });
  model.create('web', spec);
  model.settle();
  for (const id of others) model.addNode({ id });
  model.settle();
  return model;
}

function spread(model: ReconcileModel): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const entry of model.up('web')) {
    const node = entry.split('@')[1] ?? '';
    counts[node] = (counts[node] ?? 0) + 1;
  }
  return counts;
}

function statusOf(model: ReconcileModel) {
  return model.state.get('serviceStatus', 'web')?.value.rebalance ?? assert.fail('no rebalancing was noted');
}

function order(updateOrder: UpdateOrder, more: Partial<UpdateConfig> = {}): Partial<ServiceSpec> {
  return { update: UpdateConfig.create({ parallelism: 1, monitorMs: 5000, order: updateOrder, ...more }) };
}

describe('rebalancing on a wish', () => {
  it('leaves everything alone until somebody asks, then evens it out and says how many moved', () => {
    const model = lopsided(web(6));
    model.run(600_000);
    assert.deepEqual(spread(model), { a: 6 });
    model.rebalance('web');
    model.settle();
    assert.deepEqual(spread(model), { a: 2, b: 2, c: 2 });
    const status = statusOf(model);
    assert.deepEqual([status.state, status.moved, status.message, status.request], [REBALANCE_COMPLETED, 4, '4 tasks moved', 1]);
    const told = model.events.filter(({ action }) => action === 'rebalance').map(({ message }) => message);
    assert.deepEqual(told, ['rebalancing started', 'rebalancing completed: 4 tasks moved']);
    assert.match(model.events.find(({ action }) => action === 'move')?.message ?? '', /rebalancing \(host-a has 6 tasks, host-b has 0\)/);
    model.rebalance('web');
    model.settle();
    assert.deepEqual([statusOf(model).request, statusOf(model).moved], [2, 0]);
    assert.equal(statusOf(model).message, 'no task would do better elsewhere');
  });

  it('moves one task at a time, never below the replicas when it starts first', () => {
    const model = lopsided(web(4, order(UpdateOrder.START_FIRST)));
    model.rebalance('web');
    let most = 0;
    model.settle(() => {
      const tasks = model.tasks('web');
      assert.ok(tasks.filter((task) => !task.drain && model.isServing(task)).length >= 4);
      most = Math.max(most, tasks.filter(({ desired }) => desired <= TaskState.RUNNING).length);
    });
    assert.equal(most, 5);
    assert.deepEqual(spread(model), { a: 2, b: 1, c: 1 });
  });

  it('never has more than one down when it stops first, and keeps the delay of updates', () => {
    const model = lopsided(web(4, order(UpdateOrder.STOP_FIRST, { delayMs: 30_000 })));
    model.rebalance('web');
    const check = (): void => {
      assert.ok(model.tasks('web').filter((task) => model.isServing(task)).length >= 3);
    };
    model.settle(check);
    assert.deepEqual(spread(model), { a: 3, b: 1 });
    model.run(29_000, check);
    assert.deepEqual(spread(model), { a: 3, b: 1 });
    model.run(2000, check);
    assert.deepEqual(spread(model), { a: 2, b: 1, c: 1 });
  });

  it('is cancelled by a newer spec', () => {
    const model = lopsided(web(6, order(UpdateOrder.STOP_FIRST, { delayMs: 30_000 })));
    model.rebalance('web');
    model.settle();
    assert.equal(statusOf(model).state, REBALANCING);
    model.update('web', (spec) => ({ ...spec, labels: { team: 'x' } }));
    model.settle();
    const { state, message } = statusOf(model);
    assert.deepEqual([state, message], [REBALANCE_CANCELLED, 'the service was changed after 1 task moved']);
    model.run(600_000);
    assert.deepEqual(spread(model), { a: 5, b: 1 });
  });

  it('goes on under another leader', () => {
    const model = lopsided(web(6, order(UpdateOrder.STOP_FIRST, { delayMs: 10_000 })));
    model.rebalance('web');
    for (let step = 0; step < 10; step++) {
      model.run(7000);
      model.changeLeader();
    }
    model.run(100_000);
    assert.deepEqual(spread(model), { a: 2, b: 2, c: 2 });
    assert.deepEqual([statusOf(model).state, statusOf(model).moved], [REBALANCE_COMPLETED, 4]);
  });

  it('waits for what is not up, and gives up after the progress deadline', () => {
    const model = lopsided(web(3, order(UpdateOrder.AUTO, { progressDeadlineMs: 60_000 })));
    const [task] = model.tasks('web');
    model.hosts.crash(task?.id ?? '');
    model.settle();
    model.rebalance('web');
    model.settle();
    assert.deepEqual([statusOf(model).state, statusOf(model).message], [REBALANCING, 'waiting until every task is up']);
    model.run(6000);
    assert.equal(statusOf(model).state, REBALANCE_COMPLETED);

    const failing = lopsided(
      web(3, { task: taskSpec({ image: FAILING_IMAGE }), ...order(UpdateOrder.AUTO, { progressDeadlineMs: 60_000 }) }),
    );
    failing.rebalance('web');
    failing.run(61_000);
    const { state, message } = statusOf(failing);
    assert.deepEqual([state, message], [REBALANCE_STOPPED, 'not every task of the service came up within 1m0s']);
  });

  it('does not count the time that a moved task takes to leave its node', () => {
    for (const by of [UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST]) {
      const model = lopsided({ ...web(4, order(by, { progressDeadlineMs: 10_000 })), drainPeriodMs: 40_000 });
      for (const { id } of model.tasks('web')) model.hosts.busy.add(id);
      model.rebalance('web');
      model.run(200_000);
      assert.deepEqual([statusOf(model).state, spread(model)], [REBALANCE_COMPLETED, { a: 2, b: 1, c: 1 }]);
    }
  });

  it('stops when a moved task fails, and the one that it was to replace stays', () => {
    const model = lopsided(web(4));
    model.rebalance('web');
    const old = new Set(model.tasks('web').map(({ id }) => id));
    let crashed = false;
    model.settle(() => {
      const made = model.tasks('web').find(({ id }) => !old.has(id));
      if (crashed || made === undefined || model.statusOf(made.id) < TaskState.READY) return;
      crashed = true;
      model.hosts.crash(made.id);
    });
    assert.match(statusOf(model).message, /^task web\.4 was moved and failed/);
    assert.equal(statusOf(model).state, REBALANCE_STOPPED);
    assert.deepEqual(
      model
        .tasks('web')
        .filter(({ desired }) => desired === TaskState.RUNNING)
        .map(({ id }) => id)
        .sort(),
      [...old].sort(),
    );
    model.run(60_000);
    assert.deepEqual(spread(model), { a: 4 });
  });
});

describe('rebalancing by itself', () => {
  it('begins when a node has come and the nodes have been calm', () => {
    const model = lopsided(web(4, { rebalance: AUTO }));
    model.run(CALM_MS - 1000);
    assert.deepEqual(spread(model), { a: 4 });
    model.run(2000);
    assert.deepEqual(spread(model), { a: 3, b: 1 });
    model.run(120_000);
    assert.deepEqual(spread(model), { a: 2, b: 1, c: 1 });
    const { state, automatic, moved } = statusOf(model);
    assert.deepEqual([state, automatic, moved], [REBALANCE_COMPLETED, true, 2]);
  });

  it('moves nothing while nodes flap', () => {
    const model = lopsided(web(4, { rebalance: AUTO }), ['b']);
    for (let flaps = 0; flaps < 20; flaps++) {
      model.cut('b');
      model.run(20_000);
      model.heal('b');
      model.run(CALM_MS - 1000);
    }
    assert.deepEqual(spread(model), { a: 4 });
    model.run(120_000);
    assert.deepEqual(spread(model), { a: 2, b: 2 });
  });

  it('is off unless asked for, and off while an update is under way', () => {
    const model = lopsided(web(4));
    model.run(600_000);
    assert.deepEqual(spread(model), { a: 4 });
    model.update('web', (spec) => ({ ...spec, rebalance: AUTO, task: taskSpec({ image: FAILING_IMAGE }) }));
    model.run(600_000);
    assert.equal(model.state.get('serviceStatus', 'web')?.value.rebalance, undefined);
  });

  it('is not begun again before the nodes change', () => {
    const model = lopsided(web(4, { rebalance: AUTO }), ['b']);
    model.run(300_000);
    assert.deepEqual(spread(model), { a: 2, b: 2 });
    const count = (): number => model.events.filter(({ message }) => message.startsWith('rebalancing started')).length;
    assert.equal(count(), 1);
    model.run(900_000);
    assert.equal(count(), 1);
    model.addNode({ id: 'c' });
    model.run(300_000);
    assert.equal(count(), 2);
    assert.deepEqual(Object.values(spread(model)).sort(), [1, 1, 2]);
  });
});
