import assert from 'node:assert/strict';
import { containerOptions } from '../../../agent/runtime/docker/container-options.ts';
import { DnsConfig, HealthCheck, LogDriver, Mount, MountType, Resources, Ulimit } from '../../../proto/index.ts';
import { taskContext } from '../../support/task-context.ts';

describe('container options', () => {
  it('leave everything to the image and the engine that the task does not name', () => {
    const { Labels, ...options } = containerOptions(taskContext({ taskId: 't1', container: { image: 'nginx:1.25' } }));
    assert.deepEqual(options, { Image: 'nginx:1.25', HostConfig: { RestartPolicy: { Name: 'no' } } });
    assert.deepEqual(Labels, {
      'shoal.cluster': 'cluster1',
      'shoal.node': 'node1',
      'shoal.service.id': 'service1',
      'shoal.service.name': 'web',
      'shoal.task.id': 't1',
      'shoal.task.name': 'web.1',
      'shoal.spec': '3',
      'shoal.ports': '',
    });
  });

  it("pin the image to its digest, and do not let the user's labels stand for Shoal's", () => {
    const task = taskContext({
      container: { image: 'nginx:1', resolvedImage: 'nginx:1@sha256:abc', labels: { tier: 'front', 'shoal.node': 'forged' } },
    });
    const options = containerOptions(task);
    assert.equal(options.Image, 'nginx:1@sha256:abc');
    assert.equal(options.Labels['tier'], 'front');
    assert.equal(options.Labels['shoal.node'], 'node1');
    assert.equal(containerOptions(task, 'nginx:1').Image, 'nginx:1');
  });

  it('carry how the process runs', () => {
    const {
      Labels: _,
      HostConfig,
      ...options
    } = containerOptions(
      taskContext({
        container: {
          image: 'a',
          command: ['/entry'],
          args: ['--x', '1'],
          env: ['A=b'],
          dir: '/srv',
          user: 'app:app',
          groups: ['audio'],
          hostname: 'web-1',
          stopSignal: 'SIGQUIT',
          stopGracePeriodMs: 1500,
          tty: true,
          init: false,
          readOnly: true,
          hosts: ['10.0.0.1 db db.local'],
          dns: DnsConfig.create({ nameservers: ['1.1.1.1'], search: ['local'], options: ['ndots:2'] }),
          capAdd: ['NET_ADMIN'],
          capDrop: ['ALL'],
          ulimits: [Ulimit.create({ name: 'nofile', soft: 10, hard: 20 })],
          healthCheck: HealthCheck.create({ test: ['CMD', 'true'], intervalMs: 1000, retries: 2 }),
        },
      }),
    );
    assert.deepEqual(options, {
      Image: 'a',
      Entrypoint: ['/entry'],
      Cmd: ['--x', '1'],
      Env: ['A=b'],
      WorkingDir: '/srv',
      User: 'app:app',
      Hostname: 'web-1',
      StopSignal: 'SIGQUIT',
      StopTimeout: 2,
      Healthcheck: { Test: ['CMD', 'true'], Interval: 1_000_000_000, Retries: 2 },
      Tty: true,
    });
    assert.deepEqual(HostConfig, {
      RestartPolicy: { Name: 'no' },
      GroupAdd: ['audio'],
      ExtraHosts: ['db:10.0.0.1', 'db.local:10.0.0.1'],
      Dns: ['1.1.1.1'],
      DnsSearch: ['local'],
      DnsOptions: ['ndots:2'],
      CapAdd: ['NET_ADMIN'],
      CapDrop: ['ALL'],
      ReadonlyRootfs: true,
      Init: false,
      Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }],
    });
  });

  it('bind host-mode ports on all addresses, or where the node answers published ports', () => {
    const ports = [
      { protocol: 'tcp', targetPort: 80, nodePort: 20_001, host: false },
      { protocol: 'tcp', targetPort: 90, nodePort: 9000, host: true },
    ] as const;
    const bound = (hostAddresses?: readonly string[]): unknown =>
      containerOptions(taskContext({ ports, dataAddress: '127.0.0.2' }), undefined, hostAddresses).HostConfig['PortBindings'];
    const ingress = [{ HostIp: '127.0.0.2', HostPort: '20001' }];
    assert.deepEqual(bound(), { '80/tcp': ingress, '90/tcp': [{ HostIp: '0.0.0.0', HostPort: '9000' }] });
    assert.deepEqual(bound(['127.0.0.2']), { '80/tcp': ingress, '90/tcp': [{ HostIp: '127.0.0.2', HostPort: '9000' }] });
  });

  it('keep a grace period of zero apart from one that is not given', () => {
    assert.equal(containerOptions(taskContext({ container: { stopGracePeriodMs: 0 } }))['StopTimeout'], 0);
    assert.equal(containerOptions(taskContext())['StopTimeout'], undefined);
  });

  it('bind leased ports on the data address and host ports on all', () => {
    const options = containerOptions(
      taskContext({
        dataAddress: '10.0.0.5',
        ports: [
          { protocol: 'tcp', targetPort: 80, nodePort: 20_001, host: false },
          { protocol: 'tcp', targetPort: 80, nodePort: 8080, host: true },
          { protocol: 'udp', targetPort: 53, nodePort: 20_002, host: false },
        ],
      }),
    );
    assert.deepEqual(options['ExposedPorts'], { '80/tcp': {}, '53/udp': {} });
    assert.deepEqual(options.HostConfig['PortBindings'], {
      '80/tcp': [
        { HostIp: '10.0.0.5', HostPort: '20001' },
        { HostIp: '0.0.0.0', HostPort: '8080' },
      ],
      '53/udp': [{ HostIp: '10.0.0.5', HostPort: '20002' }],
    });
    assert.equal(options.Labels['shoal.ports'], 'tcp/80/20001,tcp/80/8080/host,udp/53/20002');
  });

  it('carry every kind of mount', () => {
    const mounts = [
      Mount.create({ type: MountType.BIND, source: '/srv', target: '/a', readOnly: true }),
      Mount.create({ type: MountType.BIND, source: '/srv', target: '/b', propagation: 'rshared' }),
      Mount.create({ type: MountType.VOLUME, target: '/c' }),
      Mount.create({
        type: MountType.VOLUME,
        source: 'data',
        target: '/d',
        volumeNoCopy: true,
        volumeDriver: 'nfs',
        volumeOptions: { o: 'addr=x' },
        volumeLabels: { a: 'b' },
      }),
      Mount.create({ type: MountType.VOLUME, source: 'data', target: '/e', volumeOptions: { type: 'tmpfs' } }),
      Mount.create({ type: MountType.TMPFS, target: '/f', tmpfsSizeBytes: 1024, tmpfsMode: 0o1777 }),
    ];
    assert.deepEqual(containerOptions(taskContext({ container: { mounts } })).HostConfig['Mounts'], [
      { Type: 'bind', Source: '/srv', Target: '/a', ReadOnly: true, BindOptions: { Propagation: 'rprivate' } },
      { Type: 'bind', Source: '/srv', Target: '/b', BindOptions: { Propagation: 'rshared' } },
      { Type: 'volume', Target: '/c', VolumeOptions: {} },
      {
        Type: 'volume',
        Source: 'data',
        Target: '/d',
        VolumeOptions: { NoCopy: true, Labels: { a: 'b' }, DriverConfig: { Name: 'nfs', Options: { o: 'addr=x' } } },
      },
      { Type: 'volume', Source: 'data', Target: '/e', VolumeOptions: { DriverConfig: { Name: 'local', Options: { type: 'tmpfs' } } } },
      { Type: 'tmpfs', Target: '/f', TmpfsOptions: { SizeBytes: 1024, Mode: 0o1777 } },
    ]);
  });

  it('carry limits, and a memory reservation only where the engine would take it', () => {
    const megabytes = (count: number): Resources => Resources.create({ memoryBytes: count * 1024 * 1024 });
    const host = (limits: Resources | undefined, reservations: Resources | undefined) => {
      const { RestartPolicy: _, ...rest } = containerOptions(taskContext({ spec: { limits, reservations } })).HostConfig;
      return rest;
    };
    const limits = Resources.create({ nanoCpus: 500_000_000, memoryBytes: 64 * 1024 * 1024, pids: 20 });
    assert.deepEqual(host(limits, undefined), { NanoCpus: 500_000_000, Memory: 67_108_864, PidsLimit: 20 });
    assert.deepEqual(host(undefined, megabytes(32)), { MemoryReservation: 33_554_432 });
    assert.deepEqual(host(megabytes(16), megabytes(32)), { Memory: 16_777_216 });
    assert.deepEqual(host(undefined, megabytes(4)), {});
  });

  it('carry the log driver', () => {
    const logDriver = LogDriver.create({ name: 'json-file', options: { 'max-size': '1m' } });
    assert.deepEqual(containerOptions(taskContext({ spec: { logDriver } })).HostConfig['LogConfig'], {
      Type: 'json-file',
      Config: { 'max-size': '1m' },
    });
  });
});
