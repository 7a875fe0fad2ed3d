import assert from 'node:assert/strict';
import { renderServicePretty } from '../../../cli/inspect/service-pretty.ts';
import {
  ContainerSpec,
  DnsConfig,
  HealthCheck,
  LogDriver,
  Mount,
  MountType,
  Placement,
  DataPath,
  PortMode,
  PortProtocol,
  ProxyProtocol,
  PortSpec,
  RestartCondition,
  RestartPolicy,
  ServiceSpec,
  TaskSpec,
  Ulimit,
} from '../../../proto/index.ts';
import { NOW_UNIX_MS } from '../../support/captured-shell.ts';
import { serviceView } from '../../support/cli-fixtures.ts';

const CONTAINER = ContainerSpec.create({
  image: 'nginx:1.25',
  resolvedImage: 'nginx:1.25@sha256:1234',
  command: ['/bin/serve'],
  args: ['--fast'],
  env: ['A=1'],
  dir: '/srv',
  user: 'www',
  groups: ['adm'],
  hostname: 'web-1',
  labels: { made: 'here' },
  mounts: [
    Mount.create({ type: MountType.BIND, source: '/a', target: '/b', readOnly: true, propagation: 'rslave' }),
    Mount.create({
      type: MountType.VOLUME,
      source: 'data',
      target: '/data',
      volumeNoCopy: true,
      volumeLabels: { keep: 'yes' },
      volumeDriver: 'nfs',
      volumeOptions: { addr: '10.0.0.9' },
    }),
    Mount.create({ type: MountType.TMPFS, target: '/run', tmpfsSizeBytes: 2 ** 20, tmpfsMode: 0o1777 }),
  ],
  stopSignal: 'SIGINT',
  stopGracePeriodMs: 3000,
  healthCheck: HealthCheck.create({
    test: ['CMD-SHELL', 'curl -f localhost'],
    intervalMs: 5000,
    timeoutMs: 6000,
    retries: 9,
    startPeriodMs: 8000,
  }),
  hosts: ['10.0.0.8 db'],
  dns: DnsConfig.create({ nameservers: ['9.9.9.9'], search: ['example.org'], options: ['ndots:2'] }),
  capAdd: ['NET_ADMIN'],
  capDrop: ['MKNOD'],
  readOnly: true,
  init: true,
  ulimits: [Ulimit.create({ name: 'nofile', soft: 1024, hard: 2048 })],
  tty: true,
  registryAuth: 'c2VjcmV0',
});

/** Everything is set that a spec can carry. */
const FULL = ServiceSpec.create({
  name: 'web',
  labels: { tier: 'front' },
  replicas: 1,
  drainPeriodMs: 10_000,
  ports: [
    PortSpec.create({ name: 'http', targetPort: 80, publishedPort: 8080, mode: PortMode.HOST, protocol: PortProtocol.UDP }),
    PortSpec.create({
      targetPort: 3000,
      publishedPort: 80,
      protocol: PortProtocol.HTTP,
      ingress: {
        http: { host: 'app.example.com', path: '/api' },
        dataPath: DataPath.PATH_PROXY,
        proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V2,
        trustedSources: ['10.0.0.0/8'],
        maxConnections: 7,
        connectTimeoutMs: 11,
        idleTimeoutMs: 12,
        requestTimeoutMs: 13,
        responseTimeoutMs: 14,
        stickyCookie: 'session',
        tls: true,
        accessLogPermille: 5,
        holdMs: 15,
        maxHeld: 8,
      },
    }),
  ],
  task: TaskSpec.create({
    reservations: { nanoCpus: 1e9, memoryBytes: 2 ** 23, pids: 0 },
    limits: { nanoCpus: 2e9, memoryBytes: 2 ** 24, pids: 7 },
    restart: RestartPolicy.create({ condition: RestartCondition.ON_FAILURE, delayMs: 1000, maxAttempts: 3, windowMs: 2000 }),
    placement: Placement.create({
      constraints: ['node.role==worker'],
      maxReplicasPerNode: 2,
      platforms: [{ os: 'linux', arch: 'arm64' }],
    }),
    logDriver: LogDriver.create({ name: 'syslog', options: { facility: 'local1' } }),
    forceUpdate: 4,
    noPortCheck: true,
    container: CONTAINER,
  }),
});

/** Seen elsewhere: `resolvedImage` is shown in the place of `image`, and the replicas are those that run. */
const NOT_SHOWN = ['spec.replicas', 'spec.task.container.image'];

describe('service inspect --pretty', () => {
  const pretty = (spec: ServiceSpec): string => renderServicePretty(serviceView('web', spec), NOW_UNIX_MS);

  it('shows whatever is set', () => {
    const full = pretty(FULL);
    const missing = settingsOf(FULL).filter(({ without }) => pretty(without as ServiceSpec) === full);
    assert.deepEqual(missing.map(({ path }) => path).sort(), NOT_SHOWN);
  });

  it('keeps the login for the registry to itself', () => {
    assert.match(pretty(FULL), /Registry login: yes/);
    assert.doesNotMatch(pretty(FULL), /c2VjcmV0/);
  });
});

/** Each thing that is set in `value`, and `value` without it. */
function settingsOf(value: object, prefix = 'spec'): readonly { readonly path: string; readonly without: object }[] {
  return Object.entries(value).flatMap(([key, set]: readonly [string, unknown]) => {
    const path = `${prefix}.${key}`;
    const put = (other: unknown): object => (Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other });
    if (typeof set === 'object' && set !== null)
      return settingsOf(set, path).map((below) => ({ path: below.path, without: put(below.without) }));
    const empty = typeof set === 'string' ? '' : typeof set === 'number' ? 0 : typeof set === 'boolean' ? false : set;
    return empty === set ? [] : [{ path, without: put(empty) }];
  });
}
