import assert from 'node:assert/strict';
import { changeProblems, serviceSpecProblems } from '../../../manager/api/validate/service-spec.ts';
import {
  DnsConfig,
  FailureAction,
  HealthCheck,
  HttpCheck,
  LogDriver,
  Mount,
  MountType,
  Placement,
  PortMode,
  PortProtocol,
  Probe,
  Probes,
  Resources,
  RestartPolicy,
  ServiceMode,
  Ulimit,
  UpdateConfig,
} from '../../../proto/index.ts';
import { publish, specOf, type SpecChanges } from '../../support/service-specs.ts';

interface Case {
  readonly what: string;
  readonly changes: SpecChanges;
  /** Path and beginning of the message of each problem, in order. */
  readonly problems: readonly (readonly [path: string, message: RegExp])[];
}

const mount = (fields: Partial<Mount>): SpecChanges => ({ container: { mounts: [Mount.create({ target: '/data', ...fields })] } });
const limits = (fields: Partial<Resources>): SpecChanges => ({ task: { limits: Resources.create(fields) } });
const update = (fields: Partial<UpdateConfig>): SpecChanges => ({ spec: { update: UpdateConfig.create(fields) } });
const placement = (fields: Partial<Placement>): SpecChanges => ({ task: { placement: Placement.create(fields) } });
const health = (fields: Partial<HealthCheck>): SpecChanges => ({ container: { healthCheck: HealthCheck.create(fields) } });

const probe = (fields: Partial<Probe>): SpecChanges => ({ task: { probes: Probes.create({ liveness: Probe.create(fields) }) } });
const httpProbe = (fields: Partial<HttpCheck>): SpecChanges =>
  probe({ check: { case: 'http', value: HttpCheck.create({ port: 80, path: '/', ...fields }) } });
const TCP: Probe['check'] = { case: 'tcp', value: { port: 80 } };

const CASES: readonly Case[] = [
  { what: 'no name', changes: { spec: { name: '' } }, problems: [['name', /needed/]] },
  { what: 'a name with a slash', changes: { spec: { name: 'a/b' } }, problems: [['name', /begin with a letter/]] },
  { what: 'a long name', changes: { spec: { name: 'a'.repeat(64) } }, problems: [['name', /longer than 63/]] },
  { what: 'a label without key', changes: { spec: { labels: { '': 'x' } } }, problems: [['labels[""]', /empty/]] },
  { what: 'huge labels', changes: { spec: { labels: { a: 'x'.repeat(200_000) } } }, problems: [['labels', /too large/]] },
  { what: 'too many replicas', changes: { spec: { replicas: 100_001 } }, problems: [['replicas', /at most 100000/]] },
  {
    what: 'replicas of a global service',
    changes: { spec: { mode: ServiceMode.GLOBAL, replicas: 2 } },
    problems: [['replicas', /one task on each node/]],
  },
  { what: 'an unknown mode', changes: { spec: { mode: 9 as ServiceMode } }, problems: [['mode', /not known/]] },
  { what: 'no task', changes: { spec: { task: undefined } }, problems: [['task', /missing/]] },
  { what: 'no container', changes: { task: { container: undefined } }, problems: [['task.container', /missing/]] },
  { what: 'no image', changes: { container: { image: '' } }, problems: [['task.container.image', /an image is needed/]] },
  { what: 'a malformed image', changes: { container: { image: 'Nginx:1' } }, problems: [['task.container.image', /"Nginx" is not part/]] },
  { what: 'a malformed tag', changes: { container: { image: 'nginx:-x' } }, problems: [['task.container.image', /not a tag/]] },
  { what: 'env without =', changes: { container: { env: ['A'] } }, problems: [['task.container.env[0]', /KEY=value/]] },
  { what: 'env without a name', changes: { container: { env: ['B=1', '=x'] } }, problems: [['task.container.env[1]', /no name/]] },
  {
    what: 'oversized env',
    changes: { container: { env: [`A=${'x'.repeat(100_000)}`, `B=${'x'.repeat(100_000)}`, `C=${'x'.repeat(100_000)}`] } },
    problems: [['task.container.env', /at most 262144/]],
  },
  {
    what: 'one oversized variable',
    changes: { container: { env: [`A=${'x'.repeat(140_000)}`] } },
    problems: [['task.container.env[0]', /at most 131071/]],
  },
  {
    what: 'an unknown placeholder',
    changes: { container: { env: ['A={{.Task.Nmae}}'], hostname: '{{.Node.Hostname' } },
    problems: [
      ['task.container.env[0]', /Nmae/],
      ['task.container.hostname', /without its/],
    ],
  },
  { what: 'a NUL in an argument', changes: { container: { args: ['a\0b'] } }, problems: [['task.container.args[0]', /NUL/]] },
  { what: 'a relative directory', changes: { container: { dir: 'tmp' } }, problems: [['task.container.dir', /absolute/]] },
  { what: 'a hostname with a blank', changes: { container: { hostname: 'a b' } }, problems: [['task.container.hostname', /host name/]] },
  { what: 'a mount without target', changes: mount({ target: '' }), problems: [['task.container.mounts[0].target', /needed/]] },
  { what: 'a relative target', changes: mount({ target: 'data' }), problems: [['task.container.mounts[0].target', /absolute/]] },
  {
    what: 'a bind without source',
    changes: mount({ type: MountType.BIND }),
    problems: [['task.container.mounts[0].source', /path on the node/]],
  },
  { what: 'a volume with a path', changes: mount({ source: '/srv' }), problems: [['task.container.mounts[0].source', /type=bind/]] },
  {
    what: 'a tmpfs with a source',
    changes: mount({ type: MountType.TMPFS, source: 'x' }),
    problems: [['task.container.mounts[0].source', /no source/]],
  },
  {
    what: 'propagation of a volume',
    changes: mount({ propagation: 'shared' }),
    problems: [['task.container.mounts[0].propagation', /type=bind/]],
  },
  {
    what: 'tmpfs options of a volume',
    changes: mount({ tmpfsSizeBytes: 1 }),
    problems: [['task.container.mounts[0].tmpfsSizeBytes', /1 goes with type=tmpfs/]],
  },
  {
    what: 'two mounts on one target',
    changes: { container: { mounts: [Mount.create({ target: '/a' }), Mount.create({ target: '/a' })] } },
    problems: [['task.container.mounts[1].target', /mounts\[0\] too/]],
  },
  {
    what: 'an unknown signal',
    changes: { container: { stopSignal: 'SIGFOO' } },
    problems: [['task.container.stopSignal', /not a signal/]],
  },
  {
    what: 'an endless grace period',
    changes: { container: { stopGracePeriodMs: 8 * 86_400_000 } },
    problems: [['task.container.stopGracePeriodMs', /7 days/]],
  },
  { what: 'an unknown health test', changes: health({ test: ['curl'] }), problems: [['task.container.healthCheck.test', /begin with/]] },
  { what: 'CMD without a program', changes: health({ test: ['CMD'] }), problems: [['task.container.healthCheck.test', /needs a program/]] },
  { what: 'a host without address', changes: { container: { hosts: ['db'] } }, problems: [['task.container.hosts[0]', /IP address/]] },
  {
    what: 'a host without name',
    changes: { container: { hosts: ['10.0.0.1'] } },
    problems: [['task.container.hosts[0]', /names no host/]],
  },
  {
    what: 'a name as name server',
    changes: { container: { dns: DnsConfig.create({ nameservers: ['dns.example'] }) } },
    problems: [['task.container.dns.nameservers[0]', /IP address/]],
  },
  {
    what: 'a capability with a blank',
    changes: { container: { capAdd: ['NET ADMIN'] } },
    problems: [['task.container.capAdd[0]', /capability/]],
  },
  {
    what: 'capabilities that Linux does not have',
    changes: { container: { capAdd: ['CAP_FOO', 'CAP_NET_ADMN', 'cap_net_admin', 'ALL'], capDrop: ['SYS_TIM'] } },
    problems: [
      ['task.container.capAdd[0]', /"CAP_FOO" is not a capability/],
      ['task.container.capAdd[1]', /did you mean NET_ADMIN/],
      ['task.container.capDrop[0]', /did you mean SYS_TIME/],
    ],
  },
  {
    what: 'bad ulimits',
    changes: {
      container: {
        ulimits: [
          Ulimit.create({ name: 'files', soft: 1, hard: 1 }),
          Ulimit.create({ name: 'nofile', soft: 10, hard: 5 }),
          Ulimit.create({ name: 'nofile', soft: 1, hard: -2 }),
        ],
      },
    },
    problems: [
      ['task.container.ulimits[0].name', /not one of/],
      ['task.container.ulimits[1].soft', /above the hard/],
      ['task.container.ulimits[2].name', /twice/],
      ['task.container.ulimits[2].hard', /-1/],
    ],
  },
  { what: 'too little CPU', changes: limits({ nanoCpus: 999_999 }), problems: [['task.limits.nanoCpus', /at least 0.001/]] },
  { what: 'absurd CPU', changes: limits({ nanoCpus: 1e15 }), problems: [['task.limits.nanoCpus', /too many/]] },
  {
    what: 'too little memory',
    changes: limits({ memoryBytes: 4 * 1024 ** 2 - 1 }),
    problems: [['task.limits.memoryBytes', /at least 4 MiB/]],
  },
  { what: 'absurd memory', changes: limits({ memoryBytes: 1e15 }), problems: [['task.limits.memoryBytes', /at most 64 TiB/]] },
  {
    what: 'a reservation above its limit',
    changes: {
      task: {
        reservations: Resources.create({ nanoCpus: 2e9, memoryBytes: 2 ** 30 }),
        limits: Resources.create({ nanoCpus: 1e9, memoryBytes: 2 ** 29 }),
      },
    },
    problems: [
      ['task.reservations.nanoCpus', /more than the limit of 1/],
      ['task.reservations.memoryBytes', /more than the limit/],
    ],
  },
  {
    what: 'a long restart delay',
    changes: { task: { restart: RestartPolicy.create({ delayMs: 10 ** 9 }) } },
    problems: [['task.restart.delayMs', /7 days/]],
  },
  { what: 'a ratio above 1', changes: update({ maxFailureRatio: 1.5 }), problems: [['update.maxFailureRatio', /0 to 1/]] },
  { what: 'a ratio that is no number', changes: update({ maxFailureRatio: NaN }), problems: [['update.maxFailureRatio', /0 to 1/]] },
  {
    what: 'a rollback of a rollback',
    changes: { spec: { rollback: UpdateConfig.create({ failureAction: FailureAction.FAILURE_ROLLBACK }) } },
    problems: [['rollback.failureAction', /never rolled back: pause or continue/]],
  },
  {
    what: 'an unknown failure action',
    changes: update({ failureAction: 7 as FailureAction }),
    problems: [['update.failureAction', /the value 7 is not known/]],
  },
  {
    what: 'a progress deadline without an end',
    changes: update({ progressDeadlineMs: 8 * 86_400_000 }),
    problems: [['update.progressDeadlineMs', /691200000.*7 days/]],
  },
  {
    what: 'too long a history of specs',
    changes: { spec: { specHistoryLimit: 101 } },
    problems: [['specHistoryLimit', /101 is too many; at most 100/]],
  },
  { what: 'an absurd parallelism', changes: update({ parallelism: 4e9 }), problems: [['update.parallelism', /too many/]] },
  {
    what: 'spread over nothing, or twice over the same',
    changes: placement({ spread: ['node.labels.dc', 'node.ip', 'dc', 'node.labels.dc'] }),
    problems: [
      ['task.placement.spread[1]', /"node.ip" is nothing to spread over/],
      ['task.placement.spread[2]', /write node.labels.NAME/],
      ['task.placement.spread[3]', /a level already/],
    ],
  },
  {
    what: 'affinities without a target or a weight',
    changes: placement({
      affinities: [
        { target: 'service:', weight: 50 },
        { target: 'node.labels.disk=ssd', weight: 101 },
        { target: 'service:db', weight: 0 },
        { target: 'service:db', weight: -50 },
      ],
    }),
    problems: [
      ['task.placement.affinities[0].target', /names no service/],
      ['task.placement.affinities[1].target', /no operator.*at character 17/],
      ['task.placement.affinities[1].weight', /101 is not a weight/],
      ['task.placement.affinities[2].weight', /0 is not a weight/],
      ['task.placement.affinities[3].target', /given twice/],
    ],
  },
  { what: 'a priority out of bounds', changes: placement({ priority: 2e6 }), problems: [['task.placement.priority', /whole number/]] },
  {
    what: 'generic resources without a kind or a number',
    changes: {
      task: {
        genericReservations: [
          { kind: 'g p u', count: 1, names: [] },
          { kind: 'gpu', count: 0, names: ['uuid1'] },
        ],
      },
    },
    problems: [
      ['task.genericReservations[0].kind', /not a kind/],
      ['task.genericReservations[1].count', /0 is not a whole number/],
      ['task.genericReservations[1].names', /not certain ones/],
    ],
  },
  {
    what: 'a constraint without operator',
    changes: placement({ constraints: ['node.role'] }),
    problems: [['task.placement.constraints[0]', /./]],
  },
  {
    what: 'a log driver without name',
    changes: { task: { logDriver: LogDriver.create({}) } },
    problems: [['task.logDriver.name', /needed/]],
  },
  {
    what: 'HTTP without a rule',
    changes: { spec: { ports: [publish(80, 80, { protocol: PortProtocol.HTTP })] } },
    problems: [['ports[0].ingress.http', /is missing/]],
  },
  {
    what: 'a port out of range',
    changes: { spec: { ports: [publish(70_000, 80)] } },
    problems: [['ports[0].publishedPort', /70000 is not a port/]],
  },
  { what: 'no target port', changes: { spec: { ports: [publish(80, 0)] } }, problems: [['ports[0].targetPort', /1 to 65535/]] },
  {
    what: 'a port published twice',
    changes: { spec: { ports: [publish(80, 80), publish(80, 81, { mode: PortMode.HOST })] } },
    problems: [['ports[1].publishedPort', /80\/tcp is published twice, by ports\[0\]/]],
  },
  { what: 'a probe of nothing', changes: probe({}), problems: [['task.probes.liveness', /one of tcp, http, grpc and exec/]] },
  {
    what: 'a probe of no port',
    changes: probe({ check: { case: 'tcp', value: { port: 0 } } }),
    problems: [['task.probes.liveness.tcp.port', /0 is not a port: 1 to 65535/]],
  },
  {
    what: 'a gRPC probe of no port',
    changes: probe({ check: { case: 'grpc', value: { port: 70_000, service: 'a' } } }),
    problems: [['task.probes.liveness.grpc.port', /70000 is not a port/]],
  },
  {
    what: 'a relative path',
    changes: httpProbe({ path: 'x' }),
    problems: [['task.probes.liveness.http.path', /"x" must begin with "\/"/]],
  },
  { what: 'a host with a path', changes: httpProbe({ host: 'a/b' }), problems: [['task.probes.liveness.http.host', /"a\/b" is not HOST/]] },
  {
    what: 'headers that cannot be sent',
    changes: httpProbe({
      headers: [
        { name: 'a b', value: '' },
        { name: 'Host', value: 'x' },
        { name: 'X', value: 'a\nb' },
      ],
    }),
    problems: [
      ['task.probes.liveness.http.headers[0].name', /"a b" is not the name/],
      ['task.probes.liveness.http.headers[1].name', /"Host" cannot be set; give host/],
      ['task.probes.liveness.http.headers[2].value', /no header may/],
    ],
  },
  {
    what: 'an empty command',
    changes: probe({ check: { case: 'exec', value: { command: [] } } }),
    problems: [['task.probes.liveness.exec.command', /is empty/]],
  },
  {
    what: 'times and counts of a probe that make no sense',
    changes: probe({ check: TCP, intervalMs: 5, timeoutMs: 1e12, failures: 1e6, successes: 2 }),
    problems: [
      ['task.probes.liveness.intervalMs', /5 ms is too short/],
      ['task.probes.liveness.timeoutMs', /7 days/],
      ['task.probes.liveness.failures', /at most 10000/],
      ['task.probes.liveness.successes', /only readiness can pass again/],
    ],
  },
  {
    what: 'too many ports',
    changes: { spec: { ports: Array.from({ length: 51 }, (_, index) => publish(1000 + index, 80)) } },
    problems: [['ports', /at most 50/]],
  },
];

describe('service spec', () => {
  it('is taken with everything that a user may write', () => {
    const spec = specOf({
      spec: {
        labels: { 'com.example/tier': 'front' },
        ports: [publish(8080, 80), publish(0, 81), publish(0, 82), publish(9000, 9000, { mode: PortMode.HOST })],
        update: UpdateConfig.create({
          parallelism: 2,
          maxFailureRatio: 0.5,
          failureAction: FailureAction.FAILURE_ROLLBACK,
          progressDeadlineMs: 0,
        }),
        rollback: UpdateConfig.create({ failureAction: FailureAction.FAILURE_CONTINUE }),
        specHistoryLimit: 0,
      },
      task: {
        reservations: Resources.create({ nanoCpus: 1e6, memoryBytes: 4 * 1024 ** 2 }),
        limits: Resources.create({ nanoCpus: 1e9, memoryBytes: 2 ** 30, pids: 100 }),
        placement: Placement.create({
          constraints: ['node.role==worker', 'node.labels.ssd != false', 'node.labels.zone in (a, b) || node.ip==10.0.0.0/8'],
          spread: ['node.labels.dc', 'engine.labels.rack', 'node.hostname'],
          affinities: [
            { target: 'service:web', weight: 100 },
            { target: 'node.labels.disk==hdd', weight: -1 },
          ],
          priority: -5,
          maxReplicasPerNode: 2,
        }),
        restart: RestartPolicy.create({ delayMs: 0 }),
        probes: Probes.create({
          readiness: Probe.create({
            check: {
              case: 'http',
              value: HttpCheck.create({ port: 80, path: '/x?y=1', host: '[::1]:80', headers: [{ name: 'X-A', value: 'b' }] }),
            },
            intervalMs: 1000,
            successes: 2,
          }),
          liveness: Probe.create({ check: { case: 'grpc', value: { port: 1, service: 'a.B' } } }),
          startup: Probe.create({ check: { case: 'exec', value: { command: ['true'] } }, initialDelayMs: 10 }),
        }),
      },
      container: {
        image: 'registry.example.com:5000/team/app:1.0@sha256:' + 'a'.repeat(64),
        env: ['SLOT={{.Task.Slot}}', 'EMPTY='],
        hostname: '{{.Node.Hostname}}-{{.Task.Slot}}',
        stopSignal: 'SIGRTMIN+3',
        healthCheck: HealthCheck.create({ test: ['CMD-SHELL', 'curl -f localhost'] }),
        hosts: ['10.0.0.1 db db.local', '::1 me'],
        capAdd: ['NET_ADMIN', 'CAP_SYS_TIME'],
        ulimits: [Ulimit.create({ name: 'nofile', soft: 1024, hard: -1 })],
        mounts: [
          Mount.create({ target: '/data', source: 'data-{{.Task.Slot}}' }),
          Mount.create({ type: MountType.BIND, target: '/etc/app', source: '/srv/app', propagation: 'rslave' }),
          Mount.create({ type: MountType.TMPFS, target: '/tmp', tmpfsSizeBytes: 1024, tmpfsMode: 0o1777 }),
        ],
      },
    });
    assert.deepEqual(serviceSpecProblems(spec), []);
    assert.deepEqual(serviceSpecProblems(specOf({ container: { image: 'process' } })), []);
  });

  for (const { what, changes, problems } of CASES) {
    it(`refuses ${what}`, () => {
      const found = serviceSpecProblems(specOf(changes));
      assert.deepEqual(
        found.map((problem) => problem.path),
        problems.map(([path]) => path),
      );
      problems.forEach(([, message], index) => assert.match(found[index]?.message ?? '', message));
    });
  }

  it('names every wrong field at once', () => {
    const spec = specOf({ spec: { name: '', replicas: 1e9, ports: [publish(80, 99_999)] }, container: { image: '' }, task: {} });
    assert.deepEqual(
      serviceSpecProblems(spec).map((problem) => problem.path),
      ['name', 'replicas', 'task.container.image', 'ports[0].targetPort'],
    );
  });

  it('refuses what is too large as a whole though each field is not', () => {
    const mounts = Array.from({ length: 100 }, (_, index) =>
      Mount.create({ target: `/${index}`, volumeLabels: { a: 'x'.repeat(20_000) } }),
    );
    assert.deepEqual(
      serviceSpecProblems(specOf({ container: { mounts } })).map((problem) => problem.path),
      ['spec'],
    );
  });

  it('keeps its name and mode', () => {
    const problems = changeProblems(specOf(), specOf({ spec: { name: 'api', mode: ServiceMode.GLOBAL, replicas: 0 } }));
    assert.deepEqual(
      problems.map((problem) => problem.path),
      ['name', 'mode'],
    );
    assert.deepEqual(changeProblems(specOf(), specOf({ spec: { replicas: 9 } })), []);
  });
});
