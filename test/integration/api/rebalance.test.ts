import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import {
  CreateServiceRequest,
  PlannedAction,
  PlanServiceRequest,
  RebalancePolicy,
  RebalanceServiceRequest,
  RebalanceState,
  RebalanceStatus,
  RemoveServiceRequest,
  ServiceMode,
  type ServiceSpec,
  ServiceStatus,
  UpdateState,
  UpdateStatus,
} from '../../../proto/index.ts';
import { slotId } from '../../../manager/state/index.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { runningStatus, taskRow } from '../../support/cluster-rows.ts';
import { failure } from '../../support/failure.ts';
import { makeNode } from '../../support/placement.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, storeRows } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

describe('control API: rebalance', () => {
  let manager: ControlManager;
  before(async () => {
    manager = await startControlManager();
  });
  after(async () => {
    await manager.stop();
  });

  const create = async (name: string, spec: Partial<ServiceSpec> = {}): Promise<string> => {
    const request = CreateServiceRequest.create({ spec: specOf({ spec: { name, replicas: 2, ...spec } }), noResolveImage: true });
    return (await manager.client.createService(request)).service?.id ?? assert.fail('no service');
  };
  const rebalance = (ref: string) => manager.client.rebalanceService(RebalanceServiceRequest.create({ ref }));
  /** As the leader writes it. */
  const tell = async (id: string, status: Partial<ServiceStatus>): Promise<void> => {
    const value = ServiceStatus.create({ serviceId: id, activeSpecNumber: 1, seenSpecNumber: 1, ...status });
    const revision = manager.state.get('serviceStatus', id)?.modRevision ?? 0;
    await storeRows(manager.store, row('serviceStatus', id, value));
    await until(() => (manager.state.get('serviceStatus', id)?.modRevision ?? 0) > revision, 'the status is there');
  };

  it('writes down a wish that does not change the version, and joins one that is under way', async () => {
    const id = await create('web');
    await tell(id, {});
    const version = manager.state.get('services', id)?.modRevision;
    const first = await rebalance('web');
    assert.deepEqual([first.serviceId, first.serviceName, first.request], [id, 'web', 1]);
    assert.equal((await rebalance('web')).request, 1);
    await tell(id, { rebalance: RebalanceStatus.create({ request: 1, state: RebalanceState.REBALANCING }) });
    assert.equal((await rebalance('web')).request, 1);
    await tell(id, { rebalance: RebalanceStatus.create({ request: 1, state: RebalanceState.REBALANCE_COMPLETED }) });
    assert.equal((await rebalance('web')).request, 2);
    assert.equal(manager.state.get('services', id)?.modRevision, version);
    assert.deepEqual(manager.state.get('rebalance', id)?.value.specNumber, 1);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: 'web' }));
    assert.equal(manager.state.get('rebalance', id), undefined);
  });

  it('refuses what has nothing to rebalance, and services whose update is not at its end', async () => {
    await create('agents', { mode: ServiceMode.GLOBAL, replicas: 0 });
    assert.match((await failure(rebalance('agents'))).message, /agents is global/);
    const id = await create('busy');
    const unseen = await failure(rebalance('busy'));
    assert.deepEqual([unseen.code, /is being updated/.test(unseen.message)], ['conflict', true]);
    await tell(id, { update: UpdateStatus.create({ state: UpdateState.UPDATE_PAUSED, specNumber: 1 }) });
    assert.match((await failure(rebalance('busy'))).message, /the update of busy is paused .*service explain busy/);
    assert.equal((await failure(rebalance('nobody'))).code, 'not_found');
  });

  it('takes automatic rebalancing for replicated services only', async () => {
    const auto = { rebalance: RebalancePolicy.REBALANCE_AUTO };
    await create('itself', auto);
    const error = await failure(create('everywhere', { ...auto, mode: ServiceMode.GLOBAL, replicas: 0 }));
    assert.deepEqual(
      error.fields.map(({ path }) => path),
      ['rebalance'],
    );
  });

  it('plans which tasks would move where', async () => {
    const id = await create('even', { replicas: 3 });
    const nodes = ['a', 'b', 'c'].map((name) => makeNode({ id: name }));
    const slots = [1, 2, 3];
    const rows = [
      ...nodes.flatMap(({ node, status }) => [row('nodes', node.id, node), row('nodeStatus', node.id, status)]),
      ...slots.flatMap((slot) => {
        const task = `task${slot}`;
        return [
          taskRow(task, id, 'a', { slot }),
          row('taskStatus', task, runningStatus(task, 'a')),
          row('slots', slotId(id, slot), { taskId: task }),
        ];
      }),
    ];
    await storeRows(manager.store, ...rows);
    await tell(id, {});
    const plan = await manager.client.planService(
      PlanServiceRequest.create({ change: { case: 'rebalance', value: RebalanceServiceRequest.create({ ref: 'even' }) } }),
    );
    assert.deepEqual(
      plan.tasks.map(({ name, action, fromNodeId, toNodeId, reason }) => [name, action, fromNodeId, toNodeId, reason]),
      [
        ['even.2', PlannedAction.PLAN_MOVE, 'a', 'c', ''],
        ['even.3', PlannedAction.PLAN_MOVE, 'a', 'b', ''],
      ],
    );
    assert.deepEqual([plan.unchangedTasks, plan.fits, plan.isCut], [1, true, false]);
    assert.equal(manager.state.get('rebalance', id), undefined);
  });
});
