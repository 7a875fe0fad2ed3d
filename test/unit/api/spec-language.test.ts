// The language of specs as a table: every field that a spec can have, each with values that are absurd for it. Each is refused by its own path, with the value
// (or what of it can be shown) and the rule; and all together at once.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { serviceSpecProblems } from '../../../manager/api/validate/service-spec.ts';
import {
  DataPath,
  DnsConfig,
  HealthCheck,
  IngressSettings,
  JobSchedule,
  JobSpec,
  LogDriver,
  Mount,
  MountType,
  Placement,
  PortProtocol,
  Probe,
  Probes,
  ProxyProtocol,
  Resources,
  RestartPolicy,
  type ServiceSpec,
  ServiceSpec as Spec,
  Ulimit,
  UpdateConfig,
} from '../../../proto/index.ts';
import { jobSpec } from '../../support/job-specs.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';

type Value = number | string | boolean | undefined | null | readonly Value[] | { readonly [name: string]: Value };

const TIMES = { intervalMs: 10_000, timeoutMs: 1000, failures: 3, successes: 1, initialDelayMs: 0 };
const UPDATE = UpdateConfig.create({ parallelism: 1, delayMs: 1, monitorMs: 1, maxFailureRatio: 0.5, progressDeadlineMs: 1 });

const COMMON = IngressSettings.create({ maxConnections: 10, idleTimeoutMs: 10_000 });
const HELD = { connectTimeoutMs: 300, holdMs: 10_000, maxHeld: 10, trustedSources: ['10.0.0.0/8', 'fd00::/8'] };

/** With every field that a service can have. */
const SERVICE: ServiceSpec = specOf({
  spec: {
    labels: { team: 'a' },
    update: UPDATE,
    rollback: UPDATE,
    ports: [
      publish(8080, 80, {
        name: 'http',
        ingress: { ...COMMON, ...HELD, proxyProtocol: ProxyProtocol.PROXY_PROTOCOL_V1, dataPath: DataPath.PATH_PROXY },
      }),
      publish(53, 53, { protocol: PortProtocol.UDP, ingress: IngressSettings.create({ dataPath: DataPath.PATH_KERNEL }) }),
      httpPort(80, 3000, 'app.example.com', '/api', {
        ...{
          ...COMMON,
          ...HELD,
          requestTimeoutMs: 10_000,
          responseTimeoutMs: 10_000,
          stickyCookie: 'session',
          tls: true,
          accessLogPermille: 10,
        },
      }),
    ],
    drainPeriodMs: 1,
    specHistoryLimit: 1,
  },
  task: {
    reservations: Resources.create({ nanoCpus: 1e9, memoryBytes: 2 ** 30 }),
    limits: Resources.create({ nanoCpus: 1e9, memoryBytes: 2 ** 30, pids: 10 }),
    restart: RestartPolicy.create({ delayMs: 1, maxAttempts: 1, windowMs: 1 }),
    placement: Placement.create({
      constraints: ['node.role==worker'],
      spread: ['node.labels.dc'],
      maxReplicasPerNode: 2,
      platforms: [{ os: 'linux', arch: 'x86_64' }],
      affinities: [{ target: 'service:db', weight: 10 }],
      priority: 1,
    }),
    logDriver: LogDriver.create({ name: 'json-file', options: { a: 'b' } }),
    genericReservations: [{ kind: 'gpu', count: 1, names: [] }],
    probes: Probes.create({
      readiness: Probe.create({
        check: { case: 'http', value: { port: 80, path: '/', tls: false, host: 'a', headers: [{ name: 'x', value: 'y' }] } },
        ...TIMES,
      }),
      liveness: Probe.create({ check: { case: 'grpc', value: { port: 80, service: 'a' } }, ...TIMES }),
      startup: Probe.create({ check: { case: 'exec', value: { command: ['true'] } }, ...TIMES }),
    }),
  },
  container: {
    image: 'nginx',
    command: ['a'],
    args: ['b'],
    env: ['A=1'],
    dir: '/',
    user: 'root',
    groups: ['wheel'],
    hostname: 'web',
    labels: { a: 'b' },
    mounts: [
      Mount.create({ type: MountType.VOLUME, source: 'data', target: '/data', volumeDriver: 'local', volumeLabels: { a: 'b' } }),
      Mount.create({ type: MountType.TMPFS, target: '/tmp', tmpfsSizeBytes: 1, tmpfsMode: 0o700 }),
      Mount.create({ type: MountType.BIND, source: '/srv', target: '/srv', propagation: 'rprivate' }),
    ],
    stopSignal: 'SIGTERM',
    stopGracePeriodMs: 1,
    healthCheck: HealthCheck.create({ test: ['CMD', 'true'], intervalMs: 1, timeoutMs: 1, retries: 1, startPeriodMs: 1 }),
    hosts: ['10.0.0.1 db'],
    dns: DnsConfig.create({ nameservers: ['10.0.0.1'], search: ['a'], options: ['b'] }),
    capAdd: ['CHOWN'],
    capDrop: ['KILL'],
    ulimits: [Ulimit.create({ name: 'nofile', soft: 1, hard: 2 })],
    registryAuth: 'e30=',
  },
});
const JOB: ServiceSpec = jobSpec({
  job: JobSpec.create({
    maxConcurrent: 1,
    historyLimit: 1,
    deadlineMs: 1,
    ttlMs: 1,
    schedule: JobSchedule.create({ cron: '0 3 * * *', timezone: 'UTC' }),
  }),
});

/** Filled in by managers and the CLI, not by those who write specs. */
const NOT_WRITTEN = ['task.container.resolvedImage', 'task.forceUpdate'];
/** Whose every text is taken: it is only handed on. */
const ANY_TEXT = /^task\.container\.(?:command|args)\[|^(?:labels|task\.container\.labels|.*volumeLabels|task\.logDriver\.options)\./;
/** An enum, or the case of a choice. */
const WORDS = /\.case$/;

interface Leaf {
  readonly path: string;
  readonly value: Value;
}

function leaves(value: Value, path = ''): readonly Leaf[] {
  if (Array.isArray(value)) return (value as readonly Value[]).flatMap((entry, at) => leaves(entry, `${path}[${at}]`));
  if (typeof value !== 'object' || value === null) return [{ path, value }];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, path === '' ? name : `${path}.${name}`));
}

function withLeaf<T>(value: T, path: string, leaf: Value): T {
  const copy = structuredClone(value) as Record<string, unknown>;
  const keys = path.split(/[.[\]]+/).filter(Boolean);
  const last = keys.pop() ?? '';
  const holder = keys.reduce<Record<string, unknown>>((inner, key) => inner[key] as Record<string, unknown>, copy);
  holder[last] = leaf;
  return copy as T;
}

/** Problems name oneofs by their case, and entries of maps by their key in brackets. */
function isNamed(problemPath: string, path: string): boolean {
  const plain = problemPath.replace(/^(task\.probes\.\w+)\.(?:tcp|http|grpc|exec)\b/, '$1').replace(/\["(\w+)"\]$/, '.$1');
  const shown = path.replace(/\.check\.value/, '');
  return plain === shown || shown.startsWith(`${plain}[`) || shown.startsWith(`${plain}.`);
}

const NUMBERS = [-1, 0.5, NaN, Infinity, 2 ** 53];
const TEXTS = ['\u0000', `x${'y'.repeat(300_000)}`];

/** Those that the field takes all the same. */
function isTaken(path: string, value: number | string): boolean {
  if (value === -1) return /weight|priority|\.(?:soft|hard)$/.test(path);
  if (value === 0.5) return path.endsWith('Ratio');
  return false;
}

describe('the language of specs', () => {
  for (const [what, spec] of [
    ['a service', SERVICE],
    ['a job', JOB],
  ] as const) {
    const fields = leaves(spec as unknown as Value).filter(({ path }) => !NOT_WRITTEN.includes(path) && !WORDS.test(path));

    it(`takes ${what} with all that it can have`, () => {
      assert.deepEqual(serviceSpecProblems(spec), []);
      assert.ok(Spec.encode(spec).length > 0);
    });

    for (const { path, value } of fields) {
      if (typeof value !== 'number' && typeof value !== 'string') continue;
      const wrong: readonly (number | string)[] = typeof value === 'number' ? NUMBERS : TEXTS;
      it(`refuses what makes no sense for ${path} of ${what}`, () => {
        for (const bad of wrong) {
          if (isTaken(path, bad) || (typeof bad === 'string' && ANY_TEXT.test(path) && !bad.includes('\u0000'))) continue;
          const problems = serviceSpecProblems(withLeaf(spec, path, bad));
          const own = problems.filter((problem) => isNamed(problem.path, path));
          const shown = typeof bad === 'number' ? String(bad) : JSON.stringify(bad).slice(0, 20);
          assert.ok(own.length > 0, `${shown} is taken, or refused as ${problems.map((problem) => problem.path).join(', ') || 'nothing'}`);
          if (typeof bad === 'number')
            assert.ok(
              own.some(({ message }) => message.includes(String(bad)) || message.includes(String(bad / 1e9))),
              `${own[0]?.message ?? ''} does not name ${shown}`,
            );
        }
      });
    }
  }
});
