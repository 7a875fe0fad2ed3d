import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { createMemoryServer } from '../../../manager/store/memory.ts';
import { CreateServiceRequest, GetServiceRequest, ListServicesRequest, type ServiceChange } from '../../../proto/index.ts';
import { type ControlManager, seen, startControlManager } from '../../support/control-manager.ts';
import { specOf } from '../../support/service-specs.ts';
import { until } from '../../support/until.ts';

describe('control API: store faults', () => {
  const server = createMemoryServer();
  let manager: ControlManager;
  let lagging: ControlManager;

  before(async () => {
    manager = await startControlManager({ server });
    lagging = await startControlManager({ server });
  });
  afterEach(() => {
    manager.fault = 'none';
    lagging.setLagging(false);
  });
  after(async () => {
    await manager.stop();
    await lagging.stop();
    await server.close();
  });

  const create = (name: string): Promise<ServiceChange> =>
    manager.client.createService(CreateServiceRequest.create({ spec: specOf({ spec: { name } }), noResolveImage: true }));
  const failure = async (call: Promise<unknown>): Promise<ShoalError> =>
    call.then(
      () => assert.fail('the call succeeded'),
      (error: unknown) => ShoalError.from(error),
    );

  it('reads are answered while the store is out of reach, writes are refused and nothing is changed', async () => {
    await create('before');
    manager.fault = 'refuse';
    const list = await manager.client.listServices(ListServicesRequest.create({}));
    assert.ok(list.services.some((service) => service.spec?.name === 'before'));
    const error = await failure(create('during'));
    assert.equal(error.code, 'unavailable');
    assert.match(error.message, /service during was not created, since the store cannot be reached.*the test cut the store off/);
    manager.fault = 'none';
    await create('during');
  });

  it('a store that never answers is not waited for, and the outcome is said to be unknown', async () => {
    manager.fault = 'hang';
    const error = await failure(create('hanging'));
    assert.equal(error.code, 'outcome_unknown');
    assert.match(error.message, /it is not known whether service hanging was created.*shoal service inspect hanging/);
  });

  it('a create whose answer was lost is not called a failure', async () => {
    manager.fault = 'lose';
    const error = await failure(create('lost'));
    assert.equal(error.code, 'outcome_unknown');
    manager.fault = 'none';
    await until(() => manager.client.getService(GetServiceRequest.create({ ref: 'lost' })).then(() => true), 'the service is there');
  });

  it('a manager that lags answers a client only from a state that has what it wrote', async () => {
    lagging.setLagging(true);
    const { revision } = await create('mine');
    const behind = await failure(lagging.client.getService(GetServiceRequest.create({ ref: 'mine' }), seen(revision)));
    assert.equal(behind.code, 'unavailable');
    assert.match(behind.message, /this manager is behind/);
    const waiting = lagging.client.getService(GetServiceRequest.create({ ref: 'mine' }), seen(revision));
    lagging.setLagging(false);
    assert.equal((await waiting).spec?.name, 'mine');
  });

  it('a manager that lags loses a conflict only after it has caught up, and says precisely why', async () => {
    lagging.setLagging(true);
    const { service } = await create('first');
    const attempt = lagging.client.createService(
      CreateServiceRequest.create({ spec: specOf({ spec: { name: 'first' } }), noResolveImage: true }),
    );
    const ended = failure(attempt);
    await until(() => lagging.commits > 0, 'the write is refused');
    lagging.setLagging(false);
    const error = await ended;
    assert.equal(error.code, 'already_exists');
    assert.match(error.message, new RegExp(service?.id ?? '-'));
  });

  it('a malformed revision is refused', async () => {
    const error = await failure(manager.client.listServices(ListServicesRequest.create({}), seen(-3)));
    assert.equal(error.code, 'invalid_argument');
  });
});
