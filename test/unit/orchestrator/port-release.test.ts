import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { portId } from '../../../manager/state/index.ts';
import {
  FailureAction,
  HttpClaim,
  PortClaim,
  PortMode,
  PortProtocol,
  type PortSpec,
  type ServiceSpec,
  UpdateConfig,
} from '../../../proto/index.ts';
import { taskSpec } from '../../support/placement.ts';
import { FAILING_IMAGE } from '../../support/model-hosts.ts';
import { ReconcileModel } from '../../support/reconcile-model.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';

const OLD = publish(8080, 80);
const NEW = publish(9090, 80);

function web(ports: readonly PortSpec[], failureAction: FailureAction = FailureAction.FAILURE_ROLLBACK): ServiceSpec {
  const update = UpdateConfig.create({ parallelism: 1, monitorMs: 5000, failureAction });
  return specOf({ spec: { replicas: 2, ports, task: taskSpec({ image: 'v1' }), update } });
}

function claim(model: ReconcileModel, port: number, objectId: string, hostServiceIds: readonly string[] = []): void {
  model.world.change([row('byPort', portId(PortProtocol.TCP, port), PortClaim.create({ objectId, hostServiceIds }))]);
}

function claims(model: ReconcileModel): readonly string[] {
  return [...model.state.all('byPort')]
    .map(({ id, value }) => `${id} ${[value.objectId, ...value.hostServiceIds].filter((holder) => holder !== '').join(',')}`)
    .sort();
}

/** The API's part is done by hand: it keeps what the leader may go back to. */
function updated(image: string, port = NEW): ReconcileModel {
  const model = new ReconcileModel();
  for (const id of ['a', 'b']) model.addNode({ id });
  model.create('web', web([OLD]));
  claim(model, 8080, 'web');
  model.run(10_000);
  claim(model, 9090, 'web');
  model.update('web', (spec) => ({ ...spec, ports: [port], task: taskSpec({ image }) }));
  return model;
}

describe('published ports that an update gave up', () => {
  it('are kept while it may be rolled back, and free when it has completed', () => {
    const model = updated('v2');
    model.settle();
    model.run(4000);
    assert.deepEqual(claims(model), ['tcp/8080 web', 'tcp/9090 web']);
    model.run(20_000);
    assert.deepEqual(claims(model), ['tcp/9090 web']);
  });

  it('stay when it was rolled back; those of the failed spec are free', () => {
    const model = updated(FAILING_IMAGE);
    model.run(60_000);
    assert.deepEqual(claims(model), ['tcp/8080 web']);
  });

  it('are free also where the leader that saw the end of it was gone before it could say so', () => {
    const model = updated('v2');
    model.run(30_000);
    claim(model, 8080, 'web');
    model.changeLeader();
    model.settle();
    assert.deepEqual(claims(model), ['tcp/9090 web']);
  });

  it('are left to others who hold them', () => {
    const model = updated('v2', publish(9090, 80, { mode: PortMode.HOST }));
    claim(model, 8080, 'other');
    claim(model, 9090, '', ['third', 'web']);
    model.run(30_000);
    assert.deepEqual(claims(model), ['tcp/8080 other', 'tcp/9090 third,web']);
    model.update('web', (spec) => ({ ...spec, ports: [] }));
    model.run(30_000);
    assert.deepEqual(claims(model), ['tcp/8080 other', 'tcp/9090 third']);
  });

  it('of HTTP are given back rule by rule, and those of others left alone', () => {
    const rules = (model: ReconcileModel): readonly string[] =>
      [...model.state.all('byPort')].flatMap(({ id, value }) =>
        value.http.map((held) => `${id} ${held.serviceId} ${held.host}${held.path}`),
      );
    const model = new ReconcileModel();
    for (const id of ['a', 'b']) model.addNode({ id });
    const [old, kept, fresh] = [
      httpPort(80, 3000, 'old.example.com'),
      httpPort(80, 3000, '', '/kept'),
      httpPort(80, 3000, 'new.example.com'),
    ];
    model.create('web', web([old, kept]));
    model.run(10_000);
    const others = HttpClaim.create({ serviceId: 'other', path: '/old' });
    const own = [old, kept, fresh].map(({ ingress }) => HttpClaim.create({ serviceId: 'web', ...ingress?.http }));
    model.world.change([row('byPort', 'tcp/80', PortClaim.create({ http: [others, ...own] }))]);
    model.update('web', (spec) => ({ ...spec, ports: [kept, fresh], task: taskSpec({ image: 'v2' }) }));
    model.settle();
    assert.deepEqual(rules(model), ['tcp/80 other /old', 'tcp/80 web old.example.com/', 'tcp/80 web /kept', 'tcp/80 web new.example.com/']);
    model.run(30_000);
    assert.deepEqual(rules(model), ['tcp/80 other /old', 'tcp/80 web /kept', 'tcp/80 web new.example.com/']);
  });

  it('are given back only as long as no newer spec may have taken them again', () => {
    const model = updated('v2');
    model.run(30_000);
    claim(model, 8080, 'web');
    const groups = model.plan('web').filter(({ writes }) => writes.some(({ table }) => table === 'byPort'));
    const service = model.state.get('services', 'web');
    assert.deepEqual(
      groups.map(({ requires }) => requires),
      [[{ table: 'services', id: 'web', row: service }]],
    );
  });
});
