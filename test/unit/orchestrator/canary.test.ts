import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { routeTableOf } from '../../../manager/dispatcher/route-table.ts';
import {
  Availability,
  FailureAction,
  type ServiceSpec,
  TargetState,
  TaskState,
  UpdateConfig,
  UpdateOrder,
  UpdateState,
} from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { FAILING_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';

const CONFIG = UpdateConfig.create({ parallelism: 1, monitorMs: 5000 });

function web(replicas: number, update: Partial<UpdateConfig> = {}): ServiceSpec {
  return specOf({ spec: { replicas, ports: [publish(8080, 80)], task: taskSpec(), update: { ...CONFIG, ...update } } });
}

function toImage(image: string, update: Partial<UpdateConfig> = {}): (spec: ServiceSpec) => ServiceSpec {
  return (spec) => ({ ...spec, task: taskSpec({ image }), update: { ...CONFIG, ...spec.update, ...update } });
}

function running(spec: ServiceSpec): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of ['a', 'b', 'c']) model.addNode({ id });
  model.create('web', spec);
  model.run(10_000);
  assert.equal(model.up('web').length, spec.replicas);
  return model;
}

/** With a canary whose tasks are up. */
function trying(replicas = 6, permille = 100, promoteAfterMs = 0, update: Partial<UpdateConfig> = {}): ReconcileModel {
  const model = running(web(replicas));
  model.canary('web', permille, toImage('v2', update), promoteAfterMs);
  model.run(5000);
  return model;
}

function statusOf(model: ReconcileModel) {
  return model.state.get('serviceStatus', 'web')?.value;
}

function stateOf(model: ReconcileModel): UpdateState | undefined {
  return statusOf(model)?.update?.state;
}

/** Tasks that shall run: of the canary, and the others. */
function crew(model: ReconcileModel): { readonly trial: readonly string[]; readonly base: readonly string[] } {
  const there = model.tasks('web').filter((task) => task.desired <= TaskState.RUNNING && !task.drain);
  const names = (canary: boolean): readonly string[] =>
    there
      .filter((task) => task.canary === canary)
      .map((task) => `${task.slot}:${task.specNumber}`)
      .sort();
  return { trial: names(true), base: names(false) };
}

/** What meshes are told: the share, and how many targets it is for and not. */
function routed(model: ReconcileModel): { readonly permille: number; readonly canaries: number; readonly others: number } {
  const cluster = model.state.get('cluster', '')?.value ?? assert.fail();
  const [port] = routeTableOf(model.state, cluster).ports;
  const active = (port?.targets ?? []).filter(({ state }) => state === TargetState.TARGET_ACTIVE);
  const canaries = active.filter(({ canary }) => canary).length;
  return { permille: port?.canaryPermille ?? 0, canaries, others: active.length - canaries };
}

function messages(model: ReconcileModel): readonly string[] {
  return model.events.filter(({ type }) => type === 'service').map(({ message }) => message);
}

describe('a canary', () => {
  it('runs beside the tasks of before, gets its share, and waits', () => {
    const model = trying();
    assert.deepEqual(crew(model), { trial: ['1:2'], base: ['1:1', '2:1', '3:1', '4:1', '5:1', '6:1'] });
    assert.deepEqual(routed(model), { permille: 100, canaries: 1, others: 6 });
    assert.equal(stateOf(model), UpdateState.CANARY);
    assert.equal(statusOf(model)?.activeSpecNumber, 1);
    model.run(60 * 60_000);
    assert.equal(stateOf(model), UpdateState.CANARY);
    assert.deepEqual(messages(model), ['canary started: 10% of new connections go to spec 2']);
  });

  it('has as many tasks as its share of the replicas, rounded up, and one beside each at most', () => {
    for (const [permille, tasks] of [
      [0, 1],
      [10, 1],
      [250, 2],
      [500, 3],
      [501, 4],
      [1000, 6],
    ] as const) {
      assert.equal(crew(trying(6, permille)).trial.length, tasks, `${permille}`);
    }
  });

  it('follows a change of its share', () => {
    const model = trying();
    model.changeCanary('web', { permille: 500 });
    assert.equal(routed(model).permille, 500);
    model.run(5000);
    assert.equal(crew(model).trial.length, 3);
    model.changeCanary('web', { permille: 100 });
    model.run(20_000);
    assert.deepEqual(crew(model).trial, ['1:2']);
    assert.equal(crew(model).base.length, 6);
  });

  it('that is promoted takes its slot over, and the rest follows by the update settings, never below the replicas', () => {
    const model = trying(6, 250);
    const trial = model
      .tasks('web')
      .filter(({ canary }) => canary)
      .map(({ id }) => id);
    model.changeCanary('web', { promoted: true });
    model.run(60_000, () => {
      assert.ok(model.up('web').length >= 6, `${model.up('web').length} up`);
      const onTheWay = new Set(
        model
          .tasks('web')
          .filter((task) => task.specNumber === 2 && !model.isServing(task))
          .map(({ slot }) => slot),
      );
      assert.ok(onTheWay.size <= 1, 'one at a time');
    });
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.deepEqual(crew(model), { trial: [], base: ['1:2', '2:2', '3:2', '4:2', '5:2', '6:2'] });
    for (const id of trial)
      assert.equal(model.tasks('web').find((task) => task.id === id)?.desired, TaskState.RUNNING, 'it is not started anew');
    assert.equal(routed(model).canaries, 0);
    assert.equal(
      [...model.state.all('slots')].some(({ id }) => id.includes('~')),
      false,
    );
  });

  it('that has all replicas beside it is promoted at a stroke, and that is over when the old ones are gone', () => {
    const model = trying(3, 1000);
    model.changeCanary('web', { promoted: true });
    model.run(0);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.run(20_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.deepEqual(crew(model).base, ['1:2', '2:2', '3:2']);
  });

  it('that is aborted is drained and forgotten, and nothing else moves', () => {
    const model = trying();
    const before = crew(model).base;
    const [trial] = model.tasks('web').filter(({ canary }) => canary);
    model.hosts.busy.add(trial?.id ?? '');
    model.abortCanary('web');
    model.run(5000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.equal(model.tasks('web').find(({ id }) => id === trial?.id)?.drain, true, 'its connections are waited for');
    assert.deepEqual(routed(model), { permille: 0, canaries: 0, others: 6 });
    model.run(20_000);
    assert.equal(
      model.tasks('web').some(({ canary }) => canary),
      false,
    );
    assert.deepEqual(crew(model).base, before);
    assert.deepEqual(messages(model).slice(1), ['the canary was aborted']);
  });

  describe('that is to promote itself', () => {
    it('does when all of its tasks have been up for so long', () => {
      const model = trying(6, 250, 60_000);
      model.run(50_000);
      assert.equal(stateOf(model), UpdateState.CANARY);
      model.run(8000);
      assert.equal(stateOf(model), UpdateState.UPDATING);
      model.run(60_000);
      assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
      assert.equal(messages(model)[1], 'canary promoted: all of its tasks were up for 1m0s');
      assert.equal(statusOf(model)?.activeSpecNumber, 2);
    });

    it('begins to count anew with a failure that is allowed, with another share, and with another leader', () => {
      const disturb: readonly ((model: ReconcileModel) => void)[] = [
        (model) => {
          model.hosts.crash(model.tasks('web').find(({ canary }) => canary)?.id ?? '');
        },
        (model) => {
          model.changeCanary('web', { permille: 120 });
        },
        (model) => {
          model.changeLeader();
        },
      ];
      for (const change of disturb) {
        const model = trying(6, 250, 60_000, { maxFailureRatio: 0.5 });
        model.run(50_000);
        change(model);
        model.run(50_000);
        assert.equal(stateOf(model), UpdateState.CANARY);
        model.run(60_000);
        assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
      }
    });
  });

  describe('of which more tasks fail than the update allows', () => {
    it('is rolled back where the failure action says so', () => {
      const model = running(web(4));
      model.canary('web', 250, toImage(FAILING_IMAGE, { failureAction: FailureAction.FAILURE_ROLLBACK }), 60_000);
      model.run(30_000, () => {
        assert.equal(model.up('web').filter(Boolean).length >= 4, true);
      });
      assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
      assert.match(
        statusOf(model)?.update?.message ?? '',
        /^rollback completed: canary rolled back due to failure of task web\.1, which failed/,
      );
      assert.equal(statusOf(model)?.activeSpecNumber, 1);
      assert.deepEqual(crew(model), { trial: [], base: ['1:1', '2:1', '3:1', '4:1'] });
      assert.equal(routed(model).permille, 0);
    });

    it('also long after it has begun', () => {
      const model = trying(6, 100, 0, { failureAction: FailureAction.FAILURE_ROLLBACK });
      model.run(30 * 60_000);
      model.hosts.crash(model.tasks('web').find(({ canary }) => canary)?.id ?? '');
      model.run(5000);
      assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    });

    it('is paused otherwise: it gets nothing new until a user says what becomes of it', () => {
      const model = trying(6, 100, 60_000);
      model.hosts.crash(model.tasks('web').find(({ canary }) => canary)?.id ?? '');
      model.run(120_000);
      assert.equal(stateOf(model), UpdateState.CANARY_PAUSED);
      assert.match(statusOf(model)?.update?.message ?? '', /^canary paused due to failure of task web\.1/);
      assert.deepEqual(routed(model), { permille: 0, canaries: 1, others: 6 });
      model.changeCanary('web', {});
      model.run(1000);
      assert.equal(stateOf(model), UpdateState.CANARY);
      assert.equal(routed(model).permille, 100);
    });

    it('goes on where failures are of no account, and is not promoted before all are up', () => {
      const model = running(web(4));
      model.canary('web', 250, toImage(FAILING_IMAGE, { failureAction: FailureAction.FAILURE_CONTINUE }), 10_000);
      model.run(120_000);
      assert.equal(stateOf(model), UpdateState.CANARY);
    });
  });

  it('keeps its place and its share when the service is scaled', () => {
    const model = trying(4, 250);
    const trial = model.tasks('web').find(({ canary }) => canary)?.id;
    model.scale('web', 8);
    model.run(5000);
    assert.equal(stateOf(model), UpdateState.CANARY);
    assert.equal(crew(model).base.length, 8);
    assert.equal(crew(model).trial.length, 2);
    assert.equal(
      crew(model).base.every((name) => /:[13]$/.test(name)),
      true,
      `${crew(model).base.join()}: only by the spec of before`,
    );
    assert.ok(model.tasks('web').some((task) => task.id === trial && task.canary && task.desired === TaskState.RUNNING));
    model.scale('web', 1);
    model.run(20_000);
    assert.deepEqual([crew(model).base.length, crew(model).trial.length], [1, 1]);
    model.scale('web', 0);
    model.run(20_000);
    assert.deepEqual(crew(model), { trial: [], base: [] });
    model.scale('web', 4);
    model.run(20_000);
    assert.deepEqual([crew(model).base.length, crew(model).trial.length], [4, 1]);
    model.changeCanary('web', { promoted: true });
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.deepEqual(crew(model).trial, []);
  });

  it('outlives the loss of nodes, on both sides', () => {
    const model = trying(6, 500);
    const where = model.tasks('web').find(({ canary }) => canary)?.nodeId ?? '';
    model.cut(where);
    model.run(10_000);
    assert.equal(stateOf(model), UpdateState.CANARY, 'a lost node is no failure of the canary');
    assert.deepEqual([routed(model).others, routed(model).canaries], [6, 3]);
    model.heal(where);
    model.run(20_000);
    assert.deepEqual([crew(model).base.length, crew(model).trial.length], [6, 3]);
  });

  it('leaves a drained node', () => {
    const model = trying(2, 1000);
    model.setAvailability('a', Availability.DRAIN);
    model.run(20_000, () => {
      assert.ok(routed(model).others >= 2);
    });
    assert.equal(
      model.up('web').some((name) => name.endsWith('@a')),
      false,
    );
    assert.deepEqual([routed(model).others, routed(model).canaries], [2, 2]);
  });

  it('has its tasks restarted by its own spec', () => {
    const model = trying(6, 100, 0, { failureAction: FailureAction.FAILURE_CONTINUE });
    model.hosts.crash(model.tasks('web').find(({ canary }) => canary)?.id ?? '');
    model.run(20_000);
    assert.deepEqual(crew(model).trial, ['1:2']);
    assert.equal(stateOf(model), UpdateState.CANARY);
  });

  it('is ended by another update, which begins from the spec of before', () => {
    const model = trying(3, 500);
    model.update('web', toImage('v3', { failureAction: FailureAction.FAILURE_ROLLBACK }));
    model.run(1000);
    assert.equal(statusOf(model)?.update?.fromSpecNumber, 1);
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.deepEqual(crew(model), { trial: [], base: ['1:3', '2:3', '3:3'] });
    assert.equal(
      model.tasks('web').some(({ canary }) => canary),
      false,
    );
  });

  it('gives way to another canary, start-first', () => {
    const model = trying(3, 500);
    model.canary('web', 500, toImage('v3'));
    model.run(60_000, () => {
      assert.equal(routed(model).others, 3);
    });
    assert.equal(stateOf(model), UpdateState.CANARY);
    assert.deepEqual(crew(model), { trial: ['1:3', '2:3'], base: ['1:1', '2:1', '3:1'] });
    model.changeCanary('web', { promoted: true });
    model.run(60_000);
    assert.deepEqual(crew(model).base, ['1:3', '2:3', '3:3']);
  });

  it('goes with its service', () => {
    const model = trying();
    model.remove('web');
    model.run(20_000);
    assert.deepEqual(model.tasks('web'), []);
    for (const table of ['slots', 'specs', 'serviceStatus'] as const) assert.deepEqual([...model.state.all(table)], []);
  });

  it('that fails after it was promoted goes back to the spec of before', () => {
    const model = trying(6, 100, 0, { failureAction: FailureAction.FAILURE_ROLLBACK });
    model.changeCanary('web', { promoted: true });
    model.run(500);
    assert.equal(stateOf(model), UpdateState.UPDATING);
    model.hosts.crash(model.tasks('web').find((task) => task.specNumber === 2 && model.statusOf(task.id) === TaskState.RUNNING)?.id ?? '');
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.ROLLBACK_COMPLETED);
    assert.deepEqual(crew(model), { trial: [], base: ['1:1', '2:1', '3:1', '4:1', '5:1', '6:1'] });
  });

  it('promoted stop-first stops nothing before its own task is up', () => {
    const model = running(web(2, { order: UpdateOrder.STOP_FIRST }));
    model.canary('web', 500, toImage('v2'));
    model.changeCanary('web', { promoted: true });
    model.run(60_000);
    assert.equal(stateOf(model), UpdateState.UPDATE_COMPLETED);
    assert.deepEqual(crew(model).base, ['1:2', '2:2']);
  });
});
