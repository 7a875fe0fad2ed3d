import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import type { ImageResolver } from '../../../manager/api/index.ts';
import { createMemoryServer } from '../../../manager/store/memory.ts';
import {
  CheckServiceRequest,
  type CreateServiceRequest,
  CreateServiceRequest as Create,
  Filter,
  GetServiceRequest,
  ListServicesRequest,
  Placement,
  PortMode,
  PortProtocol,
  RemoveServiceRequest,
  type ServiceChange,
  type ServiceSpec,
  type ServiceView,
  UpdateServiceRequest,
} from '../../../proto/index.ts';
import { type ControlManager, seen, startControlManager } from '../../support/control-manager.ts';
import { failure } from '../../support/failure.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';

function createRequest(spec: ServiceSpec): CreateServiceRequest {
  return Create.create({ spec, noResolveImage: true });
}

function serviceOf(change: ServiceChange): ServiceView & { readonly spec: ServiceSpec } {
  const { service } = change;
  if (service?.spec === undefined) return assert.fail('no service in the answer');
  return { ...service, spec: service.spec };
}

describe('control API: services', () => {
  const server = createMemoryServer();
  let manager: ControlManager;
  let other: ControlManager;
  const pins = new Map<string, string>();
  const asked: string[] = [];
  const registry: ImageResolver = {
    resolve(image) {
      asked.push(image);
      const digest = pins.get(image);
      return digest === undefined ? Promise.reject(new ShoalError('unavailable', `the test knows no ${image}`)) : Promise.resolve(digest);
    },
    platforms: (image) => Promise.resolve(image.includes('arm') ? [{ os: 'linux', arch: 'arm64' }] : []),
  };

  before(async () => {
    manager = await startControlManager({ server, registry });
    other = await startControlManager({ server, registry });
  });
  after(async () => {
    await manager.stop();
    await other.stop();
    await server.close();
  });

  const create = async (spec: ServiceSpec): Promise<ReturnType<typeof serviceOf>> =>
    serviceOf(await manager.client.createService(createRequest(spec)));
  const update = (service: ServiceView, spec: ServiceSpec, more: Partial<UpdateServiceRequest> = {}): Promise<ServiceChange> =>
    manager.client.updateService(
      UpdateServiceRequest.create({ ref: service.id, version: service.version, spec, noResolveImage: true, ...more }),
    );

  it('warns of a constraint that no node can satisfy, once', async () => {
    const placement = Placement.create({ constraints: ['node.label.ssd==1'] });
    const created = await manager.client.createService(createRequest(specOf({ spec: { name: 'typo' }, task: { placement } })));
    assert.match(created.warnings.join(), /did you mean node\.labels\.ssd/);
    const { id, version, spec } = serviceOf(created);
    const request = UpdateServiceRequest.create({ ref: id, version, spec: { ...spec, replicas: 3 }, noResolveImage: true });
    assert.deepEqual((await manager.client.updateService(request)).warnings, []);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: id }));
  });

  it('checks a service without making it, and names all that is wrong or taken', async () => {
    const holder = await manager.client.createService(createRequest(specOf({ spec: { name: 'holder', ports: [publish(8951, 80)] } })));
    const wrong = specOf({
      spec: { name: 'holder', ports: [publish(8951, 1), publish(8951, 2)] },
      container: { stopSignal: 'FOO' },
      task: { placement: Placement.create({ constraints: ['node.labels.a==1', 'node.foo==1'] }) },
    });
    const expected = [
      'task.container.stopSignal: "FOO" is not a signal such as SIGTERM or 15',
      'ports[1].publishedPort: port 8951/tcp is published twice, by ports[0] too',
      `name: the name holder is taken by service ${serviceOf(holder).id}: choose another, or update that one`,
      'ports[0].publishedPort: port 8951/tcp is already published by service holder',
      'task.placement.constraints[1]: the constraint node.foo==1 matches no node: nodes have no "node.foo"; did you mean node.id?',
    ];
    const listed = (fields: readonly { readonly path: string; readonly message: string }[]): string[] =>
      fields.map(({ path, message }) => `${path}: ${message}`);
    const { problems } = await manager.client.checkService(CheckServiceRequest.create({ spec: wrong }));
    assert.deepEqual(listed(problems), expected);
    assert.deepEqual(listed((await failure(manager.client.createService(createRequest(wrong)))).fields), expected);
    const fine = specOf({ spec: { name: 'not-made' } });
    assert.deepEqual((await manager.client.checkService(CheckServiceRequest.create({ spec: fine }))).problems, []);
    assert.equal((await failure(manager.client.getService(GetServiceRequest.create({ ref: 'not-made' })))).code, 'not_found');
    const own = await manager.client.checkService(CheckServiceRequest.create({ ref: 'holder', spec: serviceOf(holder).spec }));
    assert.deepEqual(own.problems, []);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: 'holder' }));
  });

  it('creates, shows, updates and removes a service, and any manager reads what was written', async () => {
    const created = await manager.client.createService(createRequest(specOf({ spec: { name: 'life', ports: [publish(8001, 80)] } })));
    const { id, version, specNumber } = serviceOf(created);
    assert.equal(specNumber, 1);
    const read = await other.client.getService(GetServiceRequest.create({ ref: 'life' }), seen(created.revision));
    assert.deepEqual([read.id, read.version, read.spec?.replicas, read.desiredTasks], [id, version, 1, 1]);

    const updated = await update(read, { ...serviceOf(created).spec, replicas: 3 });
    assert.equal(serviceOf(updated).specNumber, 2);
    assert.equal(serviceOf(updated).previousSpec?.replicas, 1);
    assert.equal(updated.revision, serviceOf(updated).version);

    const removed = await other.client.removeService(RemoveServiceRequest.create({ ref: id.slice(0, 12) }), seen(updated.revision));
    assert.deepEqual([removed.id, removed.name], [id, 'life']);
    const gone = await failure(manager.client.getService(GetServiceRequest.create({ ref: 'life' }), seen(removed.revision)));
    assert.equal(gone.code, 'not_found');
    const again = await create(specOf({ spec: { name: 'life', ports: [publish(8001, 80)] } }));
    assert.notEqual(again.id, id);
  });

  it('refuses a wrong spec with every field named, and leaves nothing behind', async () => {
    const revision = manager.state.revision;
    const spec = specOf({ spec: { name: 'half', replicas: 1e6, ports: [publish(99, 0)] }, container: { image: '' } });
    const error = await failure(manager.client.createService(createRequest(spec)));
    assert.equal(error.code, 'invalid_argument');
    assert.deepEqual(
      error.fields.map((field) => field.path),
      ['replicas', 'task.container.image', 'ports[0].targetPort'],
    );
    assert.equal(manager.state.revision, revision);
    assert.equal((await failure(manager.client.createService(Create.create({})))).code, 'invalid_argument');
  });

  it('gives a name to one service only, and names the holder', async () => {
    const holder = await create(specOf({ spec: { name: 'taken' } }));
    const error = await failure(manager.client.createService(createRequest(specOf({ spec: { name: 'taken' } }))));
    assert.equal(error.code, 'already_exists');
    assert.match(error.message, new RegExp(holder.id));
  });

  it('lets exactly one of two managers win a name', async () => {
    const attempts = [manager, other].map((each) => each.client.createService(createRequest(specOf({ spec: { name: 'race' } }))));
    const results = await Promise.allSettled(attempts);
    assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected']);
    const lost = results.find((result) => result.status === 'rejected');
    assert.equal(ShoalError.from(lost?.reason).code, 'already_exists');
  });

  it('lets exactly one of two managers win a port, and names the holder', async () => {
    const names = ['port-a', 'port-b'];
    const attempts = [manager, other].map((each, index) =>
      each.client.createService(createRequest(specOf({ spec: { name: names[index] ?? '', ports: [publish(8080, 80)] } }))),
    );
    const results = await Promise.allSettled(attempts);
    const winner = names[results.findIndex((result) => result.status === 'fulfilled')] ?? '';
    const lost = results.find((result) => result.status === 'rejected');
    const error = ShoalError.from(lost?.reason);
    assert.equal(error.code, 'conflict');
    assert.match(error.message, new RegExp(`port 8080/tcp is already published by service ${winner}`));
    assert.deepEqual(
      error.fields.map((field) => field.path),
      ['ports[0].publishedPort'],
    );
  });

  it('lets exactly one of two updates from the same version win', async () => {
    const service = await create(specOf({ spec: { name: 'versions' } }));
    const request = (replicas: number): UpdateServiceRequest =>
      UpdateServiceRequest.create({ ref: service.id, version: service.version, spec: { ...service.spec, replicas }, noResolveImage: true });
    await other.state.reached(service.version, 5000);
    const results = await Promise.allSettled([manager.client.updateService(request(5)), other.client.updateService(request(6))]);
    const won = results.filter((result) => result.status === 'fulfilled');
    assert.equal(won.length, 1);
    const lost = results.find((result) => result.status === 'rejected');
    const error = ShoalError.from(lost?.reason);
    assert.equal(error.code, 'conflict');
    assert.match(error.message, /is at version \d+, the change was made from version/);
  });

  it('answers an update that changes nothing with what is there', async () => {
    const service = await create(specOf({ spec: { name: 'same', labels: { a: '1', b: '2' }, ports: [publish(0, 80)] } }));
    const spec = { ...service.spec, labels: { b: '2', a: '1' }, ports: [publish(0, 80)] };
    const answer = serviceOf(await update(service, spec));
    assert.deepEqual([answer.version, answer.specNumber], [service.version, 1]);
  });

  it('refuses to rename a service or to change its mode', async () => {
    const service = await create(specOf({ spec: { name: 'fixed' } }));
    const error = await failure(update(service, { ...service.spec, name: 'other', replicas: 0, mode: 1 }));
    assert.deepEqual(
      error.fields.map((field) => field.path),
      ['name', 'mode'],
    );
  });

  it('keeps a port that it chose over updates, and gives ports back', async () => {
    const service = await create(specOf({ spec: { name: 'ports', ports: [publish(0, 80), publish(8090, 90)] } }));
    const [chosen] = service.spec.ports;
    assert.ok(chosen !== undefined && chosen.publishedPort >= 30_000 && chosen.publishedPort <= 32_767);
    const updated = serviceOf(await update(service, { ...service.spec, replicas: 2, ports: [publish(0, 80)] }));
    assert.equal(updated.spec.ports[0]?.publishedPort, chosen.publishedPort);
    await create(specOf({ spec: { name: 'ports-heir', ports: [publish(8090, 90)] } }));
    const error = await failure(update(updated, { ...updated.spec, ports: [publish(8090, 90)] }));
    assert.match(error.message, /8090\/tcp is already published by service ports-heir/);
  });

  it('lets host ports be shared, but not with an ingress port', async () => {
    const host = publish(8095, 90, { mode: PortMode.HOST });
    const one = await create(specOf({ spec: { name: 'host-1', ports: [host] } }));
    const two = await create(specOf({ spec: { name: 'host-2', ports: [host] } }));
    const ingress = createRequest(specOf({ spec: { name: 'host-3', ports: [publish(8095, 90)] } }));
    assert.match((await failure(manager.client.createService(ingress))).message, /used in host mode by service host-1, host-2/);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: one.id }));
    assert.match((await failure(manager.client.createService(ingress))).message, /used in host mode by service host-2/);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: two.id }));
    await manager.client.createService(ingress);
  });

  it('publishes UDP and TCP of one number apart', async () => {
    const dns = await create(specOf({ spec: { name: 'udp-dns', ports: [publish(8053, 53, { protocol: PortProtocol.UDP })] } }));
    await create(specOf({ spec: { name: 'tcp-dns', ports: [publish(8053, 53)] } }));
    const other = createRequest(specOf({ spec: { name: 'udp-other', ports: [publish(8053, 54, { protocol: PortProtocol.UDP })] } }));
    assert.match((await failure(manager.client.createService(other))).message, /8053\/udp is already published by service udp-dns/);
    await manager.client.removeService(RemoveServiceRequest.create({ ref: dns.id }));
    await manager.client.createService(other);
  });

  it('lets services share a port as HTTP, each rule held by one, until they give it up', async () => {
    const web = await create(specOf({ spec: { name: 'http-web', ports: [httpPort(8070, 80, 'app.example.com')] } }));
    const api = await create(specOf({ spec: { name: 'http-api', ports: [httpPort(8070, 80, 'app.example.com', '/api')] } }));
    const heir = createRequest(specOf({ spec: { name: 'http-heir', ports: [httpPort(8070, 80, 'app.example.com', '/api')] } }));
    const refused = await failure(manager.client.createService(heir));
    assert.equal(refused.code, 'conflict');
    assert.match(refused.message, /app\.example\.com\/api on port 8070\/tcp is already published by service http-api/);
    const whole = createRequest(specOf({ spec: { name: 'http-whole', ports: [publish(8070, 80)] } }));
    assert.match((await failure(manager.client.createService(whole))).message, /published by service http-api, http-web, as http/);
    await update(api, { ...api.spec, ports: [httpPort(8070, 80, 'app.example.com', '/v2')] });
    await manager.client.createService(heir);
    for (const ref of [web.id, api.id, 'http-heir']) await manager.client.removeService(RemoveServiceRequest.create({ ref }));
    await manager.client.createService(whole);
  });

  it('takes many services that share a port, all at once', async () => {
    const names = Array.from({ length: 25 }, (_, index) => `shared-${index}`);
    const made = await Promise.all(names.map((name) => create(specOf({ spec: { name, ports: [httpPort(8071, 80, name)] } }))));
    assert.equal(made.length, names.length);
    await Promise.all(names.map((ref) => manager.client.removeService(RemoveServiceRequest.create({ ref }))));
    await create(specOf({ spec: { name: 'shared-no-more', ports: [publish(8071, 80)] } }));
  });

  it('gives the rules of one service that name no port the same one', async () => {
    const { spec } = await create(specOf({ spec: { name: 'http-open', ports: [httpPort(0, 80, 'a'), httpPort(0, 81, 'b')] } }));
    const numbers = new Set(spec.ports.map((port) => port.publishedPort));
    assert.equal(numbers.size, 1);
    assert.ok(!numbers.has(0));
  });

  it('lists by filters, and refuses filters that it does not know', async () => {
    await create(specOf({ spec: { name: 'list-a', labels: { tier: 'x' } } }));
    await create(specOf({ spec: { name: 'list-b', labels: { tier: 'y' } } }));
    const list = (...filters: readonly Filter[]): ReturnType<typeof manager.client.listServices> =>
      manager.client.listServices(ListServicesRequest.create({ filters }));
    const named = await list(
      Filter.create({ key: 'name', values: ['list-'] }),
      Filter.create({ key: 'label', values: ['tier=y', 'none'] }),
    );
    assert.deepEqual(
      named.services.map((service) => service.spec?.name),
      ['list-b'],
    );
    const error = await failure(list(Filter.create({ key: 'colour', values: ['red'] }), Filter.create({ key: 'mode', values: ['swarm'] })));
    assert.equal(error.code, 'invalid_argument');
    assert.match(error.message, /"colour" is not a filter here; known are id, name, label, mode/);
    assert.match(error.message, /"swarm" is not a value of mode/);
  });

  it('never gives a registry login back, and keeps it over updates', async () => {
    const service = await create(specOf({ spec: { name: 'login' }, container: { registryAuth: 'c2VjcmV0' } }));
    assert.equal(service.spec.task?.container?.registryAuth, '');
    await update(service, { ...service.spec, replicas: 2 });
    const stored = [...manager.state.all('specs')].filter((spec) => spec.value.serviceId === service.id);
    assert.deepEqual(
      stored.map((spec) => spec.value.spec?.task?.container?.registryAuth),
      ['c2VjcmV0', 'c2VjcmV0'],
    );
  });

  describe('images', () => {
    const pinOf = (image: string, digit: string): string => `${image}@sha256:${digit.repeat(64)}`;
    const resolvedOf = (change: ServiceChange): string | undefined => serviceOf(change).spec.task?.container?.resolvedImage;
    beforeEach(() => {
      asked.length = 0;
    });

    it('are resolved once per create, and again by an update that names the image', async () => {
      pins.set('app:1', pinOf('app:1', '1'));
      const created = await manager.client.createService(
        Create.create({ spec: specOf({ spec: { name: 'image' }, container: { image: 'app:1' } }) }),
      );
      assert.equal(resolvedOf(created), pinOf('app:1', '1'));

      pins.set('app:1', pinOf('app:1', '2'));
      const scaled = await update(serviceOf(created), { ...serviceOf(created).spec, replicas: 4 }, { noResolveImage: false });
      assert.equal(resolvedOf(scaled), pinOf('app:1', '1'));
      assert.deepEqual(asked, ['app:1']);

      const spec = specOf({ spec: { name: 'image', replicas: 4 }, container: { image: 'app:1' } });
      const rolled = await update(serviceOf(scaled), spec, { noResolveImage: false });
      assert.equal(resolvedOf(rolled), pinOf('app:1', '2'));
      assert.equal(serviceOf(rolled).specNumber, 3);

      pins.delete('app:1');
      const kept = await update(serviceOf(rolled), spec, { noResolveImage: false });
      assert.equal(resolvedOf(kept), pinOf('app:1', '2'));
      assert.match(kept.warnings[0] ?? '', /it stays at the digest it had: the test knows no app:1/);
    });

    it('tell their platforms, which go with another image', async () => {
      const platformsOf = (change: ServiceChange): readonly unknown[] | undefined => serviceOf(change).spec.task?.placement?.platforms;
      pins.set('arm:1', pinOf('arm:1', '1'));
      const created = await manager.client.createService(
        Create.create({ spec: specOf({ spec: { name: 'platforms' }, container: { image: 'arm:1' } }) }),
      );
      assert.deepEqual(platformsOf(created), [{ os: 'linux', arch: 'arm64' }]);
      const scaled = await update(serviceOf(created), { ...serviceOf(created).spec, replicas: 2 });
      assert.deepEqual(platformsOf(scaled), [{ os: 'linux', arch: 'arm64' }]);
      const { spec } = serviceOf(scaled);
      const task = spec.task && { ...spec.task, container: spec.task.container && { ...spec.task.container, image: 'none:1' } };
      assert.deepEqual(platformsOf(await update(serviceOf(scaled), { ...spec, task }, { noResolveImage: false })), []);
    });

    it('that cannot be resolved are a warning with the reason', async () => {
      const spec = specOf({ spec: { name: 'unresolved' }, container: { image: 'none:1' } });
      const created = await manager.client.createService(Create.create({ spec }));
      assert.equal(resolvedOf(created), '');
      assert.match(
        created.warnings[0] ?? '',
        /none:1 could not be resolved to a digest; nodes may run different versions: the test knows no/,
      );
    });

    it('are not asked for where there is nothing to resolve', async () => {
      for (const [name, image] of [
        ['plain', 'process'],
        ['pinned', pinOf('app', '3')],
      ] as const) {
        const { warnings } = await manager.client.createService(Create.create({ spec: specOf({ spec: { name }, container: { image } }) }));
        assert.deepEqual(warnings, []);
      }
      assert.deepEqual(asked, []);
    });
  });
});
