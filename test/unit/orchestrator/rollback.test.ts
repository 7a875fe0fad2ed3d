import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { FailureAction, type ServiceSpec, TaskState, UpdateConfig, UpdateOrder, UpdateState } from '../../../proto/index.ts';
import { taskSpec, type Wish } from '../../support/placement.ts';
import { FAILING_IMAGE, REJECTED_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const CONFIG = UpdateConfig.create({ parallelism: 1, monitorMs: 5000, failureAction: FailureAction.FAILURE_ROLLBACK });
const ROLLBACK = UpdateConfig.create({ parallelism: 1, monitorMs: 5000 });

interface Settings {
  readonly update?: Partial<UpdateConfig>;
  readonly rollback?: Partial<UpdateConfig>;
  readonly wish?: Wish;
  readonly more?: Partial<ServiceSpec>;
}

function web(replicas: number, { update = {}, rollback = {}, wish = {}, more = {} }: Settings = {}): ServiceSpec {
  return specOf({
    spec: {
      replicas,
      ports: [publish(8080, 80)],
      task: taskSpec(wish),
      update: { ...CONFIG, ...update },
      rollback: { ...ROLLBACK, ...rollback },
      ...more,
    },
  });
}

function running(spec: ServiceSpec): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of ['a', 'b', 'c']) model.addNode({ id, cpus: 64 });
  model.create('web', spec);
  model.run(10_000);
  assert.equal(model.up('web').length, spec.replicas);
  return model;
}

function toImage(image: string): (spec: ServiceSpec) => ServiceSpec {
  return (spec) => ({ ...spec, task: taskSpec({ image }) });
}

function statusOf(model: ReconcileModel) {
  return model.state.get('serviceStatus', 'web')?.value ?? assert.fail('no status');
}

function stateOf(model: ReconcileModel): UpdateState | undefined {
  return statusOf(model).update?.state;
}

function serving(model: ReconcileModel): number {
  return model.tasks('web').filter((task) => !task.drain && model.isServing(task)).length;
}

/** Numbers of the specs that the tasks which shall run were made from. */
function specsInUse(model: ReconcileModel): readonly number[] {
  const numbers = model
    .tasks('web')
    .filter(({ desired }) => desired <= TaskState.RUNNING)
    .map(({ specNumber }) => specNumber);
  return [...new Set(numbers)].sort();
}

describe('an update that fails', () => {
  it('is rolled back to the spec before it, with its reason, and bumps no version', () => {
    const model = running(web(4));
    const service = model.state.get('services', 'web');
    const before = model.up('web');
    model.update('web', toImage(FAILING_IMAGE));
    const version = model.state.get('services', 'web')?.modRevision;
    model.run(30_000, () => assert.ok(serving(model) >= 4));
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.match(
      statusOf(model).update?.message ?? '',
      /^rollback completed: update rolled back due to failure of task web\.1, which failed/,
    );
    assert.deepEqual([statusOf(model).activeSpecNumber, statusOf(model).seenSpecNumber], [1, 2]);
    assert.equal(model.state.get('services', 'web')?.modRevision, version);
    assert.notEqual(service?.modRevision, version);
    assert.deepEqual(model.up('web'), before);
    assert.deepEqual(specsInUse(model), [1]);
    assert.equal(model.specOf('web').task?.container?.image, 'nginx');
  });

  it('gives each slot back to the task that still runs beside the failed one', () => {
    const model = running(web(3));
    const before = model.tasks('web').map(({ id }) => id);
    model.update('web', toImage(FAILING_IMAGE));
    model.run(30_000);
    const now = model.tasks('web').filter(({ desired }) => desired <= TaskState.RUNNING);
    assert.deepEqual(now.map(({ id }) => id).sort(), [...before].sort());
  });

  it('goes by the rollback settings of the spec that is left', () => {
    const stopFirst = { order: UpdateOrder.STOP_FIRST };
    const model = running(web(6, { update: stopFirst }));
    model.update('web', (spec) => ({
      ...toImage('v2')(spec),
      update: { ...CONFIG, ...stopFirst, parallelism: 0 },
      rollback: { ...ROLLBACK, ...stopFirst, parallelism: 2, delayMs: 60_000 },
    }));
    model.settle();
    model.hosts.crash(model.tasks('web').find(({ specNumber }) => specNumber === 2)?.id ?? assert.fail());
    model.run(2000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_STARTED);
    const back = (): number => model.tasks('web').filter((task) => task.specNumber === 1 && model.isServing(task)).length;
    // The one that failed is the first of two at a time.
    assert.equal(back(), 2);
    model.run(60_000);
    assert.equal(back(), 4);
  });

  it('is not rolled back twice: a rollback that fails is paused', () => {
    const model = running(web(3, { update: { order: UpdateOrder.STOP_FIRST }, rollback: { order: UpdateOrder.STOP_FIRST } }));
    model.update('web', (spec) => ({ ...toImage(FAILING_IMAGE)(spec), rollback: { ...ROLLBACK, order: UpdateOrder.STOP_FIRST } }));
    // The rollback's own tasks fail as soon as they run.
    model.run(40_000, () => {
      if (stateOf(model) !== UpdateState.ROLLBACK_STARTED) return;
      const startedAt = model.state.get('serviceStatus', 'web')?.modRevision ?? 0;
      for (const { id, value, createRevision } of model.state.all('tasks')) {
        if (value.specNumber === 1 && createRevision > startedAt && model.isServing(value)) model.hosts.crash(id);
      }
    });
    assert.equal(stateOf(model), UpdateState.ROLLBACK_PAUSED);
    assert.match(statusOf(model).update?.message ?? '', /^rollback paused due to failure of task web\.\d/);
    const paused = statusOf(model);
    model.run(120_000);
    assert.deepEqual(statusOf(model), paused);
  });

  it('makes no more tasks of the spec that failed', () => {
    const model = running(web(3, { update: { order: UpdateOrder.STOP_FIRST } }));
    model.update('web', toImage(FAILING_IMAGE));
    const made = new Set<string>();
    model.run(30_000, () => {
      for (const { id, specNumber } of model.tasks('web')) if (specNumber === 2) made.add(id);
    });
    assert.equal(made.size, 1);
  });

  it('is not rolled back twice, whatever the rollback settings say', () => {
    const stopFirst = { order: UpdateOrder.STOP_FIRST };
    const endless = { ...stopFirst, failureAction: FailureAction.FAILURE_ROLLBACK };
    const model = running(web(3, { update: stopFirst, rollback: endless }));
    model.update('web', toImage('v2'));
    model.run(60_000);
    model.rollback('web', 1);
    model.run(40_000, () => {
      for (const task of model.tasks('web')) if (task.specNumber === 3 && model.isServing(task)) model.hosts.crash(task.id);
    });
    assert.equal(stateOf(model), UpdateState.ROLLBACK_PAUSED);
  });

  it('does not count it against the rollback when a task fails that it has not touched', () => {
    const model = running(web(6, { update: { order: UpdateOrder.STOP_FIRST } }));
    model.update('web', (spec) => ({
      ...toImage(FAILING_IMAGE)(spec),
      rollback: { ...ROLLBACK, order: UpdateOrder.STOP_FIRST, delayMs: 60_000 },
    }));
    let untouched: string | undefined;
    model.run(40_000, () => {
      if (stateOf(model) !== UpdateState.ROLLBACK_STARTED || untouched !== undefined) return;
      untouched = model.tasks('web').find((task) => task.slot === 6 && model.isServing(task))?.id ?? assert.fail();
      model.hosts.crash(untouched);
    });
    model.run(200_000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.equal(model.up('web').length, 6);
  });

  it('goes on with its rollback under another leader', () => {
    const model = running(
      web(6, { update: { parallelism: 2, order: UpdateOrder.STOP_FIRST }, rollback: { order: UpdateOrder.STOP_FIRST } }),
    );
    model.update('web', (spec) => ({ ...toImage(REJECTED_IMAGE)(spec), rollback: { ...ROLLBACK, delayMs: 1000 } }));
    model.reconcile();
    model.hosts.stepAgents();
    for (let step = 0; step < 60; step++) {
      model.run(500);
      model.changeLeader();
    }
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.deepEqual(specsInUse(model), [1]);
    assert.equal(model.up('web').length, 6);
  });

  it('goes back to what was known to run, past a spec that never came to its end', () => {
    const model = running(web(3));
    model.update('web', (spec) => ({ ...toImage(FAILING_IMAGE)(spec), update: { ...CONFIG, failureAction: FailureAction.FAILURE_PAUSE } }));
    model.run(30_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
    model.update('web', (spec) => ({ ...toImage(REJECTED_IMAGE)(spec), update: CONFIG }));
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.equal(statusOf(model).activeSpecNumber, 1);
    assert.equal(model.up('web').length, 3);
  });

  it('restores the number of replicas, too', () => {
    const model = running(web(3));
    model.update('web', (spec) => ({ ...toImage(FAILING_IMAGE)(spec), replicas: 5 }));
    model.run(60_000);
    assert.equal(model.up('web').length, 3);
    assert.equal(model.tasks('web').filter(({ desired }) => desired <= TaskState.RUNNING).length, 3);
  });

  it('counts slots, not tasks: one that fails again and again is one failure', () => {
    const model = running(web(10, { update: { maxFailureRatio: 0.1, order: UpdateOrder.STOP_FIRST, parallelism: 1 } }));
    model.update('web', toImage('v2'));
    model.run(60_000, () => {
      for (const task of model.tasks('web'))
        if (task.slot === 1 && task.specNumber === 2 && model.isServing(task)) model.hosts.crash(task.id);
    });
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.match(statusOf(model).update?.message ?? '', /^update completed, though 1 of 10 tasks failed$/);
    assert.equal(model.up('web').length, 9);
  });

  it('counts a failure only within the monitor period', () => {
    const model = running(web(2, { update: { delayMs: 60_000, monitorMs: 5000 } }));
    model.update('web', toImage('v2'));
    model.run(20_000);
    const fresh = model.tasks('web').find(({ specNumber, desired }) => specNumber === 2 && desired === TaskState.RUNNING);
    model.hosts.crash(fresh?.id ?? assert.fail());
    model.run(200_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.equal(statusOf(model).update?.message, 'update completed');
  });
});

describe('a rollback that a user asks for', () => {
  it('goes by the rollback settings and says so', () => {
    const model = running(web(4, { rollback: { parallelism: 2 } }));
    model.update('web', toImage('v2'));
    model.run(60_000);
    model.rollback('web', 1);
    model.reconcile();
    assert.equal(stateOf(model), UpdateState.ROLLBACK_STARTED);
    assert.equal(model.tasks('web').filter(({ specNumber }) => specNumber === 3).length, 2);
    model.run(60_000, () => assert.ok(serving(model) >= 4));
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.equal(statusOf(model).update?.message, 'rollback completed');
    assert.deepEqual(specsInUse(model), [3]);
  });

  it('out of a paused update takes back only what was moved', () => {
    const model = running(web(4, { update: { failureAction: FailureAction.FAILURE_PAUSE } }));
    const before = model.up('web');
    model.update('web', toImage(FAILING_IMAGE));
    model.run(30_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
    model.rollback('web', 1);
    model.run(60_000, () => assert.ok(serving(model) >= 4));
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.deepEqual(model.up('web'), before);
  });

  it('pauses where its tasks fail', () => {
    const model = running(web(2, { update: { failureAction: FailureAction.FAILURE_CONTINUE, order: UpdateOrder.STOP_FIRST } }));
    model.update('web', toImage(FAILING_IMAGE));
    model.run(120_000);
    model.update('web', toImage('v3'));
    model.run(120_000);
    model.rollback('web', 2);
    model.run(120_000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_PAUSED);
  });
});

describe('the progress deadline', () => {
  const NOWHERE: Wish = { constraints: ['node.labels.none==x'], image: 'v2' };

  it('fails an update whose tasks find no node, by its failure action', () => {
    const model = running(web(3, { update: { progressDeadlineMs: 60_000 } }));
    const before = model.up('web');
    model.update('web', (spec) => ({ ...spec, task: taskSpec(NOWHERE) }));
    model.run(59_000);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.run(2000);
    model.run(10_000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.match(
      statusOf(model).update?.message ?? '',
      /update rolled back due to task web\.1 not coming up within 1m0s \(no suitable node \(scheduling constraints not satisfied on 3 nodes\)\)/,
    );
    assert.deepEqual(model.up('web'), before);
  });

  it('is ten minutes unless given, and none where it is 0', () => {
    const model = running(web(2, { update: { failureAction: FailureAction.FAILURE_PAUSE } }));
    model.update('web', (spec) => ({ ...spec, task: taskSpec(NOWHERE) }));
    model.run(599_000);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.run(2000);
    assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
    const other = running(web(2, { update: { progressDeadlineMs: 0 } }));
    other.update('web', (spec) => ({ ...spec, task: taskSpec(NOWHERE) }));
    other.run(10_000_000);
    assert.equal(stateOf(other), UpdateState.UPDATING);
  });

  it('lets an update go on past a slot that is stuck, where it is told to continue', () => {
    const model = running(web(3, { update: { progressDeadlineMs: 60_000, failureAction: FailureAction.FAILURE_CONTINUE } }));
    model.update('web', (spec) => ({ ...spec, task: taskSpec(NOWHERE) }));
    model.run(400_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.equal(statusOf(model).update?.message, 'update completed, though 3 of 3 tasks failed');
    assert.equal(serving(model), 3);
  });

  it('does not run while the old task takes its time to leave, and does when it takes more', () => {
    const update = { order: UpdateOrder.STOP_FIRST, progressDeadlineMs: 10_000, failureAction: FailureAction.FAILURE_PAUSE };
    const model = running(web(2, { update, more: { drainPeriodMs: 40_000 } }));
    for (const { id } of model.tasks('web')) model.hosts.busy.add(id);
    model.update('web', toImage('v2'));
    model.run(100_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    // Acknowledged at the latest after 5 s, drained after 40 more, killed after 10 more, and then the deadline.
    for (const { id } of model.tasks('web')) model.hosts.stuck.add(id);
    model.update('web', toImage('v3'));
    model.run(64_000);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.run(2000);
    assert.equal(stateOf(model), UpdateState.UPDATE_PAUSED);
    assert.match(statusOf(model).update?.message ?? '', /task web\.1 not coming up within 10s/);
  });

  it('does not run while an update waits out its delay or its monitor period', () => {
    const model = running(web(3, { update: { delayMs: 600_000, monitorMs: 900_000, progressDeadlineMs: 60_000 } }));
    model.update('web', toImage('v2'));
    model.run(1_150_000);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.run(2_000_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
  });
});
