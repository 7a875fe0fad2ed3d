// Explanations of what the scheduler weighs beside room and labels: generic resources, priorities, preferences; and of probes and damped moves.
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'mocha';
import { explainService } from '../../../manager/explain/index.ts';
import {
  Cluster,
  ClusterSettings,
  type ExplainedTask,
  type Finding,
  GenericResource,
  ManagerLiveness,
  Readiness,
  type ServiceExplanation,
  UpdateState,
} from '../../../proto/index.ts';
import { taskSpec, type Wish } from '../../support/placement.ts';
import { FAILING_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';

describe('service explain, in detail', () => {
  let model: ReconcileModel;

  beforeEach(() => {
    model = new ReconcileModel();
    model.world.change([row('leader', '', ManagerLiveness.create({ managerId: 'm' }))]);
  });

  const explain = (): ServiceExplanation => explainService(model.state, 'web', model.clock);
  const only = (): ExplainedTask => {
    const { tasks } = explain();
    assert.equal(tasks.length, 1, JSON.stringify(tasks));
    return tasks[0] ?? assert.fail();
  };
  const create = (name: string, replicas: number, wish: Wish): void => {
    model.create(name, specOf({ spec: { name, replicas, task: taskSpec(wish) } }));
    model.settle();
  };
  const setGap = (preemptionGap: number): void => {
    const settings = ClusterSettings.create({ preemptionGap });
    model.world.change([row('cluster', '', Cluster.create({ id: 'c', incarnation: 'first', incarnationNumber: 1, settings }))]);
  };
  const asking = (kind: string, count: number) => specOf({ task: { genericReservations: [GenericResource.create({ kind, count })] } });

  it('names the generic resource that is missing, who has it, and how many would do', () => {
    model.addNode({ id: 'a', generics: [GenericResource.create({ kind: 'gpu', count: 4 })] });
    model.addNode({ id: 'b' });
    model.create('train', { ...asking('gpu', 3), name: 'train' });
    model.settle();
    model.create('web', asking('gpu', 2));
    model.settle();
    const { nodes, finding } = only();
    const told = nodes.map(({ hostname, refusals }) => [hostname, ...refusals.map(({ reason, change }) => [reason, change?.command])]);
    assert.deepEqual(told, [
      ['host-a', ['it needs 2 gpu, 1 free of 4', 'shoal service update --generic-resource-add gpu=1 web']],
      ['host-b', ['it needs 2 gpu, and the node has none', 'shoal service update --generic-resource-rm gpu web']],
    ]);
    assert.equal(finding?.wayOut, 'free 1 gpu on host-a (held by train.1 (3)), or ask for at most 1');
    assert.deepEqual(
      nodes.map(({ canBeMadeToFit }) => canBeMadeToFit),
      [true, true],
    );
  });

  describe('of a task that others of lower priority keep out', () => {
    const kinds = (finding: Finding | undefined): readonly [string | undefined, string | undefined] => [finding?.kind, finding?.wayOut];

    it('says which gap would let it take their place', () => {
      model.addNode({ id: 'a', cpus: 2 });
      create('batch', 1, { cpus: 2, priority: -5 });
      create('web', 1, { cpus: 1, priority: 10 });
      assert.deepEqual(kinds(only().preemption), [
        'preemption-off',
        '`shoal cluster update --preemption-gap 15` lets it take the place of batch.1 (priority -5) on host-a',
      ]);
    });

    it('says which priority it needs', () => {
      setGap(100);
      model.addNode({ id: 'a', cpus: 2 });
      create('batch', 1, { cpus: 2, priority: 3 });
      create('web', 1, { cpus: 1, priority: 10 });
      assert.deepEqual(kinds(only().preemption), [
        'priority-too-low',
        '`shoal service update --priority 103 web` lets it take the place of batch.1 (priority 3) on host-a',
      ]);
    });

    it('says who makes room, and is silent where preemption cannot help', () => {
      model.addNode({ id: 'a', cpus: 2 });
      create('batch', 1, { cpus: 2 });
      create('web', 1, { cpus: 1, priority: 10 });
      setGap(5);
      assert.equal(only().preemption?.reason, 'batch.1 (priority 0) of lower priority make room for it on host-a');
      model.update('web', (spec) => ({ ...spec, task: taskSpec({ cpus: 64, priority: 10 }) }));
      model.settle();
      assert.equal(only().preemption, undefined);
    });
  });

  it('gives the last reason of a readiness probe that does not pass', () => {
    model.addNode({ id: 'a' });
    model.create('web', specOf({ spec: { ports: [publish(8080, 80)] } }));
    model.settle();
    const [task] = model.tasks('web');
    const status = model.state.get('taskStatus', task?.id ?? '')?.value ?? assert.fail();
    const readiness = Readiness.create({ ready: false, reason: 'GET /ready: status 503', sinceUnixMs: 77 });
    model.world.change([row('taskStatus', status.taskId, { ...status, readiness })]);
    const { finding } = only();
    assert.deepEqual([finding?.kind, finding?.sinceUnixMs], ['not-ready', 77]);
    assert.match(finding?.reason ?? '', /on host-a, but gets no connections: its readiness probe does not pass: GET \/ready: status 503$/);
    assert.match(finding?.wayOut ?? '', /--no-readiness-probe/);
  });

  it('says that a slot was moved too often, and how long it waits', () => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) model.addNode({ id });
    create('web', 1, {});
    for (let moves = 0; moves < 4; moves++) {
      model.cut(model.up('web')[0]?.split('@')[1] ?? assert.fail('it is not up'));
      model.settle();
    }
    model.clock.advance(2000);
    const { finding } = only();
    assert.equal(finding?.kind, 'move-delay');
    assert.match(finding.reason, /moved 4 times in a row.* about 3s left$/);
    assert.match(finding.wayOut, /shoal events --filter service=web/);
  });

  describe('of what could be better', () => {
    it('says what is uneven, and how it is evened out; nothing is wrong with it', () => {
      model.addNode({ id: 'a' });
      create('web', 3, {});
      assert.deepEqual(explain().advice, []);
      model.addNode({ id: 'b' });
      const { allRight, advice } = explain();
      assert.deepEqual([allRight, advice.map(({ kind }) => kind)], [true, ['uneven']]);
      assert.equal(advice[0]?.reason, 'its tasks could be placed better: host-a has 3 tasks, host-b has 0');
      assert.match(advice[0].wayOut, /`shoal service rebalance web`/);
      model.rebalance('web');
      model.settle();
      assert.deepEqual(explain().advice, []);
    });

    it('names preferences that come to nothing', () => {
      model.addNode({ id: 'a' });
      const affinities = [
        { target: 'service:cache', weight: 50 },
        { target: 'node.labels.disk==ssd', weight: 50 },
      ];
      create('web', 1, { spread: ['node.labels.dc'], affinities });
      assert.deepEqual(
        explain().advice.map(({ reason }) => reason),
        [
          'no node has node.labels.dc, so spreading over it changes nothing',
          'there is no service cache, so the affinity to it changes nothing',
          'no node meets node.labels.disk==ssd, so the affinity to it changes nothing',
        ],
      );
      assert.match(explain().advice[0]?.wayOut ?? '', /node update --label-add dc=VALUE NODE/);
    });
  });

  it('names the rollback as a way out of a paused update', () => {
    model.addNode({ id: 'a' });
    create('web', 1, {});
    model.update('web', (spec) => ({ ...spec, task: taskSpec({ image: FAILING_IMAGE }) }));
    model.settle();
    assert.equal(model.state.get('serviceStatus', 'web')?.value.update?.state, UpdateState.UPDATE_PAUSED);
    assert.match(explain().rollout[0]?.wayOut ?? '', /or go back with `shoal service rollback web`$/);
  });
});
