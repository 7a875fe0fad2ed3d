import assert from 'node:assert/strict';
import { seededIds } from '../../../lib/ids.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { runLeaderLoop } from '../../../manager/leader/leader-loop.ts';
import { Cluster, ClusterSettings, Node, Placement, type ServiceSpec, type Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { serviceRows } from '../../support/cluster-rows.ts';
import { type FollowedStore, leaderBench, type LeaderBench, leadershipFor } from '../../support/leader-bench.ts';
import { CPU, makeNode } from '../../support/placement.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, storeRows } from '../../support/state-rows.ts';
import { passTime, settle } from '../../support/virtual-time.ts';

const { node, status } = makeNode({ id: 'n1', cpus: 4 });

function service(name: string, replicas: number, cpus: number, priority: number): ServiceSpec {
  const reservations = { nanoCpus: cpus * CPU, memoryBytes: 0, pids: 0 };
  return specOf({ spec: { name, replicas }, task: { reservations, placement: Placement.create({ priority }) } });
}

describe('preemption', () => {
  let bench: LeaderBench;
  let followed: FollowedStore;
  let ended: AbortController;
  let loop: Promise<void>;

  beforeEach(async () => {
    bench = leaderBench();
    await storeRows(bench.store, row('nodes', 'n1', Node.create(node)), row('nodeStatus', 'n1', status));
    followed = await bench.follow();
    ended = new AbortController();
    loop = runLeaderLoop({
      ...{ store: followed.store, state: followed.state, clock: bench.clock, ids: seededIds(seededRng(5)), log: silentLogger },
      leadership: leadershipFor(0, ended.signal),
    });
    await settle();
  });
  afterEach(async () => {
    ended.abort();
    await loop;
    await bench.stop();
  });

  const want = (id: string, spec: ServiceSpec): Promise<number> => storeRows(bench.store, ...serviceRows(id, spec));
  const allow = (preemptionGap: number): Promise<number> =>
    storeRows(bench.store, row('cluster', '', Cluster.create({ id: 'c', settings: ClusterSettings.create({ preemptionGap }) })));
  const tasksOf = (serviceId: string): readonly Task[] =>
    [...followed.state.tasksOfService(serviceId)].map(({ value }) => value).sort((one, other) => one.slot - other.slot);
  const report = (taskId: string, state: TaskState): Promise<number> =>
    storeRows(bench.store, row('taskStatus', taskId, TaskStatus.create({ taskId, nodeId: 'n1', state })));

  async function fill(): Promise<void> {
    await want('low', service('low', 4, 1, 1));
    await settle();
    for (const { id } of tasksOf('low')) await report(id, TaskState.RUNNING);
    await settle();
  }

  it('is off unless the cluster allows it', async () => {
    await fill();
    await want('high', service('high', 1, 2, 10));
    await passTime(bench.clock, 5000);
    assert.deepEqual(
      tasksOf('low').map(({ preempted }) => preempted),
      ['', '', '', ''],
    );
    assert.equal(tasksOf('high')[0]?.verdict?.message, 'no suitable node (insufficient resources on 1 node)');
  });

  it('stops as few as are needed, says why, and gives their place to the one that waits, not to their replacements', async () => {
    await allow(1);
    await fill();
    await want('high', service('high', 1, 2, 10));
    await passTime(bench.clock, 1000);
    const leaving = tasksOf('low').filter(({ preempted }) => preempted !== '');
    assert.equal(leaving.length, 2);
    for (const task of leaving) {
      assert.equal(task.desired, TaskState.SHUTDOWN);
      assert.deepEqual(
        [task.verdict?.state, task.verdict?.message],
        [TaskState.REJECTED, 'preempted: it makes room for high.1 of priority 10'],
      );
    }
    assert.match(tasksOf('high')[0]?.verdict?.message ?? '', /tasks of lower priority make room for it$/);
    for (const { id } of leaving) await report(id, TaskState.SHUTDOWN);
    await passTime(bench.clock, 1000);
    assert.equal(tasksOf('high')[0]?.nodeId, 'n1');
    const [running, waiting] = [TaskState.ASSIGNED, TaskState.PENDING].map((state) =>
      tasksOf('low').filter(({ verdict, desired }) => verdict?.state === state && desired <= TaskState.RUNNING),
    );
    assert.deepEqual([running?.length, waiting?.length], [2, 2], 'its replacements wait');
    const { message } = waiting?.[0]?.verdict ?? assert.fail();
    assert.equal(message, 'no suitable node (insufficient resources on 1 node)');
  });

  it('never touches equals, nor those that are too near', async () => {
    await allow(5);
    await fill();
    await want('equal', service('equal', 1, 2, 1));
    await want('near', service('near', 1, 2, 5));
    await passTime(bench.clock, 5000);
    assert.ok(tasksOf('low').every(({ preempted }) => preempted === ''));
    await want('far', service('far', 1, 2, 6));
    await passTime(bench.clock, 1000);
    assert.equal(tasksOf('low').filter(({ preempted }) => preempted !== '').length, 2);
  });
});
