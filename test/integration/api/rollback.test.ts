import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import {
  CreateServiceRequest,
  FailureAction,
  GetServiceRequest,
  GetServiceSpecRequest,
  ListServiceSpecsRequest,
  RemoveServiceRequest,
  RollbackServiceRequest,
  type ServiceChange,
  type ServiceSpec,
  ServiceStatus,
  type ServiceView,
  UpdateConfig,
  UpdateServiceRequest,
  UpdateState,
  UpdateStatus,
} from '../../../proto/index.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { failure } from '../../support/failure.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, storeRows } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

function viewOf({ service }: ServiceChange): ServiceView & { readonly spec: ServiceSpec } {
  if (service?.spec === undefined) return assert.fail('no service in the answer');
  return { ...service, spec: service.spec };
}

describe('control API: rollback', () => {
  let manager: ControlManager;
  before(async () => {
    manager = await startControlManager();
  });
  after(async () => {
    await manager.stop();
  });

  const create = async (spec: ServiceSpec) =>
    viewOf(await manager.client.createService(CreateServiceRequest.create({ spec, noResolveImage: true })));
  const update = async (service: ServiceView, spec: ServiceSpec) =>
    viewOf(
      await manager.client.updateService(
        UpdateServiceRequest.create({ ref: service.id, version: service.version, spec, noResolveImage: true }),
      ),
    );
  const rollback = (ref: string, more: Partial<RollbackServiceRequest> = {}) =>
    manager.client.rollbackService(RollbackServiceRequest.create({ ref, ...more }));
  const history = async (ref: string) =>
    (await manager.client.listServiceSpecs(ListServiceSpecsRequest.create({ ref }))).entries.map((entry) => ({
      number: entry.number,
      replicas: entry.replicas,
      rollbackTo: entry.rollbackTo,
      mark: entry.active ? 'active' : entry.previous ? 'previous' : entry.rolledBack ? 'rolled back' : '',
    }));
  /** As the leader goes back by itself. */
  const turnBack = async (id: string, activeSpecNumber: number, seenSpecNumber: number): Promise<void> => {
    const update = UpdateStatus.create({
      state: UpdateState.ROLLBACK_COMPLETED,
      specNumber: seenSpecNumber,
      fromSpecNumber: seenSpecNumber,
    });
    await storeRows(
      manager.store,
      row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber, seenSpecNumber, update })),
    );
    await until(() => manager.state.get('serviceStatus', id)?.value.activeSpecNumber === activeSpecNumber, 'the status is there');
  };

  it('makes the previous spec the newest, back and forth, and any kept one by its number', async () => {
    const first = await create(specOf({ spec: { name: 'back', replicas: 1 } }));
    const second = await update(first, { ...first.spec, replicas: 2 });
    const third = viewOf(await rollback('back', { version: second.version }));
    assert.deepEqual([third.specNumber, third.spec.replicas, third.previousSpecNumber, third.previousSpec?.replicas], [3, 1, 2, 2]);
    assert.ok(third.version > second.version);
    const fourth = viewOf(await rollback('back'));
    assert.equal(fourth.spec.replicas, 2);
    const fifth = viewOf(await rollback('back', { toSpecNumber: 1 }));
    assert.equal(fifth.spec.replicas, 1);
    assert.deepEqual(await history('back'), [
      { number: 5, replicas: 1, rollbackTo: 1, mark: 'active' },
      { number: 4, replicas: 2, rollbackTo: 2, mark: 'previous' },
      { number: 3, replicas: 1, rollbackTo: 1, mark: '' },
      { number: 2, replicas: 2, rollbackTo: 0, mark: '' },
      { number: 1, replicas: 1, rollbackTo: 0, mark: '' },
    ]);
    const { spec, entry } = await manager.client.getServiceSpec(GetServiceSpecRequest.create({ ref: 'back', number: 2 }));
    assert.deepEqual([entry?.number, spec?.replicas], [2, 2]);
    const active = await manager.client.getServiceSpec(GetServiceSpecRequest.create({ ref: 'back' }));
    assert.equal(active.entry?.number, 5);
  });

  it('says what is wrong: nothing to go back to, a spec that is not kept, a version that is old', async () => {
    const only = await create(specOf({ spec: { name: 'only' } }));
    const none = await failure(rollback('only'));
    assert.equal(none.code, 'failed_precondition');
    assert.match(none.message, /service only has no earlier spec to go back to/);
    const unknown = await failure(rollback('only', { toSpecNumber: 7 }));
    assert.equal(unknown.code, 'not_found');
    assert.match(unknown.message, /service only has no spec 7: kept are 1/);
    await update(only, { ...only.spec, replicas: 2 });
    const stale = await failure(rollback('only', { version: only.version }));
    assert.equal(stale.code, 'conflict');
    assert.match(stale.message, /was made from version/);
    assert.equal((await failure(rollback('nobody'))).code, 'not_found');
  });

  it('to what runs already changes nothing, and says so', async () => {
    const first = await create(specOf({ spec: { name: 'same' } }));
    const { warnings, service } = await rollback('same', { toSpecNumber: 1 });
    assert.match(warnings[0] ?? '', /spec 1 of service same is what it runs already/);
    assert.equal(service?.version, first.version);
  });

  it('takes ports back, and names who holds them now', async () => {
    const first = await create(specOf({ spec: { name: 'ports', ports: [publish(8100, 80)] } }));
    await update(first, { ...first.spec, ports: [publish(8101, 80)] });
    await create(specOf({ spec: { name: 'taker', ports: [publish(8100, 80)] } }));
    const held = await failure(rollback('ports'));
    assert.equal(held.code, 'conflict');
    assert.match(held.message, /8100\/tcp is already published by service taker/);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: 'taker' }));
    assert.deepEqual(
      viewOf(await rollback('ports')).spec.ports.map(({ publishedPort }) => publishedPort),
      [8100],
    );
  });

  it('keeps the ports that an update may go back to by itself', async () => {
    const failing = UpdateConfig.create({ failureAction: FailureAction.FAILURE_ROLLBACK });
    const first = await create(specOf({ spec: { name: 'keeps', ports: [publish(8110, 80)] } }));
    const second = await update(first, { ...first.spec, ports: [publish(8111, 80)], update: failing });
    const thief = failure(create(specOf({ spec: { name: 'thief', ports: [publish(8110, 80)] } })));
    assert.match((await thief).message, /8110\/tcp is already published by service keeps/);
    // With a third spec nothing leads back to the first.
    await update(second, { ...second.spec, update: UpdateConfig.create({}) });
    const heir = await create(specOf({ spec: { name: 'heir', ports: [publish(8110, 80)] } }));
    assert.equal(heir.spec.ports[0]?.publishedPort, 8110);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: 'keeps' }));
    await create(specOf({ spec: { name: 'next', ports: [publish(8111, 80)] } }));
  });

  it('after one that the leader made by itself shows, and changes, the spec that runs, under the same version', async () => {
    const first = await create(specOf({ spec: { name: 'turned', replicas: 1, labels: { good: 'yes' } } }));
    const second = await update(first, { ...first.spec, labels: { good: 'no' } });
    await turnBack(first.id, 1, 2);
    const view = await manager.client.getService(GetServiceRequest.create({ ref: 'turned' }));
    assert.deepEqual([view.version, view.specNumber, view.spec?.labels], [second.version, 1, { good: 'yes' }]);
    assert.deepEqual(
      (await history('turned')).map(({ mark }) => mark),
      ['rolled back', 'active'],
    );
    const third = await update(view, { ...first.spec, replicas: 3 });
    assert.deepEqual([third.specNumber, third.spec.labels, third.spec.replicas], [3, { good: 'yes' }, 3]);
    // A rollback passes over what failed.
    const update3 = UpdateStatus.create({ state: UpdateState.UPDATE_COMPLETED, specNumber: 3, fromSpecNumber: 1 });
    const status = ServiceStatus.create({ serviceId: first.id, activeSpecNumber: 3, seenSpecNumber: 3, update: update3 });
    await storeRows(manager.store, row('serviceStatus', first.id, status));
    await until(() => manager.state.get('serviceStatus', first.id)?.value.activeSpecNumber === 3, 'the status is there');
    assert.equal((await manager.client.getService(GetServiceRequest.create({ ref: 'turned' }))).previousSpecNumber, 1);
    // The spec that failed can be tried again, by its number or as it was.
    await turnBack(first.id, 1, 3);
    const again = viewOf(await rollback('turned', { toSpecNumber: 2 }));
    assert.deepEqual(again.spec.labels, { good: 'no' });
  });
});
