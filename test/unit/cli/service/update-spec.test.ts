import assert from 'node:assert/strict';
import type { FlagValues } from '../../../../cli/service/spec/flag-reader.ts';
import { createSpec, updateSpec } from '../../../support/flag-specs.ts';
import { ServiceMode, type ServiceSpec } from '../../../../proto/index.ts';

const HERE = { env: {}, cwd: '/' };

const BEFORE: ServiceSpec = withPin(
  createSpec(
    'nginx:1.25',
    ['serve'],
    {
      name: 'web',
      publish: ['8080:80', '9000:90', '53:53/udp'],
      env: ['A=1', 'B=2', 'C=3'],
      label: ['x=1', 'y=2'],
      mount: ['source=data,target=/data', 'source=logs,target=/logs'],
      constraint: ['node.role==worker'],
      host: ['db:10.0.0.5', 'cache:10.0.0.6'],
      ulimit: ['nofile=10'],
      capAdd: ['NET_ADMIN'],
      healthCmd: 'true',
      healthInterval: '1s',
      limitMemory: '1g',
      updateDelay: '7s',
      readOnly: true,
      logDriver: 'json-file',
      logOpt: ['a=1'],
    },
    HERE,
    () => '',
  ),
);

function withPin(spec: ServiceSpec): ServiceSpec {
  if (spec.task?.container === undefined) throw new Error('no container');
  return { ...spec, task: { ...spec.task, container: { ...spec.task.container, resolvedImage: 'nginx:1.25@sha256:1' } } };
}

function update(flags: FlagValues): ServiceSpec {
  return updateSpec(BEFORE, flags, HERE);
}

describe('the spec of an updated service', () => {
  it('is the same where no flag is given', () => {
    assert.deepEqual(update({}), BEFORE);
  });

  it('changes lists entry by entry', () => {
    const spec = update({
      envAdd: ['B=9', 'D=4'],
      envRm: ['A'],
      labelAdd: ['z=3'],
      labelRm: ['x'],
      mountAdd: ['source=other,target=/logs'],
      mountRm: ['/data'],
      constraintAdd: ['node.labels.ssd==true'],
      constraintRm: ['node.role == worker'],
      hostAdd: ['db:10.0.0.7'],
      hostRm: ['db', 'cache:10.0.0.9'],
      ulimitAdd: ['nofile=20:30'],
      capDrop: ['net_admin'],
    });
    const container = spec.task?.container;
    assert.deepEqual(container?.env, ['B=9', 'C=3', 'D=4']);
    assert.deepEqual(spec.labels, { y: '2', z: '3' });
    assert.deepEqual(
      container.mounts.map(({ source, target }) => [source, target]),
      [['other', '/logs']],
    );
    assert.deepEqual(spec.task?.placement?.constraints, ['node.labels.ssd==true']);
    assert.deepEqual(container.hosts, ['10.0.0.6 cache', '10.0.0.7 db']);
    assert.deepEqual(container.ulimits, [{ name: 'nofile', soft: 20, hard: 30 }]);
    assert.deepEqual([container.capAdd, container.capDrop], [[], ['CAP_NET_ADMIN']]);
  });

  it('removes ports by target, and publishes none otherwise that is not removed', () => {
    const ports = (flags: FlagValues): unknown => update(flags).ports.map(({ publishedPort, targetPort }) => [publishedPort, targetPort]);
    assert.deepEqual(ports({ publishRm: ['80', '53/udp'] }), [[9000, 90]]);
    assert.deepEqual(ports({ publishRm: ['53', '1:80'] }), [
      [8080, 80],
      [9000, 90],
      [53, 53],
    ]);
    assert.throws(
      () => ports({ publishAdd: ['8080:81'] }),
      /--publish-add: port 8080\/tcp is published already, to 80; --publish-rm 8080:80 takes that away/,
    );
    assert.deepEqual(ports({ publishAdd: ['8080:80'] }), ports({}));
    assert.deepEqual(ports({ publishRm: ['8080:80'], publishAdd: ['8080:81'] }), [
      [9000, 90],
      [53, 53],
      [8080, 81],
    ]);
  });

  it('refuses a published port where a target is to be named, with what it may mean', () => {
    const before = updateSpec(BEFORE, { publishAdd: ['8091:80'] }, HERE);
    assert.throws(
      () => updateSpec(before, { publishRm: ['8091'], publishAdd: ['8093:80'] }, HERE),
      /--publish-rm: "8091" is taken as a target port.* published port of target 80; remove 8091:80 or published=8091/,
    );
    for (const right of ['8091:80', 'published=8091'])
      assert.ok(!updateSpec(before, { publishRm: [right] }, HERE).ports.some(({ publishedPort }) => publishedPort === 8091));
    // As in Docker: what is not there is removed.
    assert.deepEqual(updateSpec(before, { publishRm: ['7777'] }, HERE).ports, before.ports);
  });

  it('replaces the settings of a port that stays what it is', () => {
    const one = update({ publishAdd: ['published=8080,target=80,idle-timeout=1m'] });
    assert.deepEqual(
      one.ports.map(({ publishedPort, ingress }) => [publishedPort, ingress?.idleTimeoutMs]),
      [
        [9000, undefined],
        [53, undefined],
        [8080, 60_000],
      ],
    );
    const two = updateSpec(one, { publishAdd: ['8080:80'] }, HERE);
    assert.deepEqual(two.ports.find(({ publishedPort }) => publishedPort === 8080)?.ingress, undefined);
  });

  it('adds, replaces and removes the rules of an HTTP port one by one', () => {
    const rule = (host: string, target: number): string => `published=80,target=${target},protocol=http,host=${host}`;
    const before = updateSpec(BEFORE, { publishRm: ['80', '90', '53/udp'], publishAdd: [rule('a', 3000), rule('b', 3000)] }, HERE);
    const rules = (flags: FlagValues): readonly string[] =>
      updateSpec(before, flags, HERE).ports.map(({ targetPort, ingress }) => `${ingress?.http?.host ?? 'tcp'} ${targetPort}`);
    assert.deepEqual(rules({ publishAdd: [`${rule('a', 3000)},path=/api`, rule('c', 3000)] }), ['a 3000', 'b 3000', 'a 3000', 'c 3000']);
    assert.deepEqual(rules({ publishRm: [rule('b', 3000)], publishAdd: [rule('b', 4000)] }), ['a 3000', 'b 4000']);
    assert.throws(
      () => rules({ publishAdd: [rule('b', 4000)] }),
      /port 80\/http for b is published already, to 3000; --publish-rm published=80,host=b,path=\/ takes that away/,
    );
    assert.throws(() => rules({ publishAdd: ['80:3000'] }), /port 80\/http for a is published already/);
    assert.deepEqual(rules({ publishRm: [rule('a', 3000)] }), ['b 3000']);
    assert.deepEqual(rules({ publishRm: ['published=80,host=b'] }), ['a 3000']);
    assert.deepEqual(rules({ publishRm: ['published=80,path=/other'] }), ['a 3000', 'b 3000']);
    assert.deepEqual(rules({ publishRm: ['3000'] }), []);
    assert.deepEqual(rules({ publishRm: ['3000/tcp', '81:3000'] }), ['a 3000', 'b 3000']);
    assert.throws(() => rules({ publishRm: ['protocol=http'] }), /names no port/);
    assert.throws(() => rules({ publishAdd: [rule('d', 1), rule('d', 2)] }), /port 80\/http for d is published twice/);
  });

  it('forgets the digest only where the image is named, even if it is the same', () => {
    assert.equal(update({ envAdd: ['X=1'] }).task?.container?.resolvedImage, 'nginx:1.25@sha256:1');
    assert.equal(update({ image: 'nginx:1.25' }).task?.container?.resolvedImage, '');
  });

  it('forces, replaces arguments, and turns toggles off', () => {
    const spec = update({ force: true, args: `run "two words"`, readOnly: false, limitMemory: '0', healthcheck: false });
    assert.equal(spec.task?.forceUpdate, 1);
    assert.deepEqual(spec.task.container?.args, ['run', 'two words']);
    assert.equal(spec.task.container.readOnly, false);
    assert.equal(spec.task.limits, undefined);
    assert.deepEqual(spec.task.container.healthCheck?.test, ['NONE']);
  });

  it('keeps the update settings that are not named', () => {
    assert.deepEqual(update({ updateParallelism: '2' }).update, { ...BEFORE.update, parallelism: 2, delayMs: 7000 });
  });

  it('adds log options to the driver that is there', () => {
    assert.deepEqual(update({ logOpt: ['b=2'] }).task?.logDriver, { name: 'json-file', options: { a: '1', b: '2' } });
  });

  it('refuses replicas of a global service', () => {
    assert.throws(() => updateSpec({ ...BEFORE, mode: ServiceMode.GLOBAL }, { replicas: '2' }, HERE), /--replicas/);
  });
});
