import assert from 'node:assert/strict';
import { flagOfPath, inFlags } from '../../../../cli/service/spec/flag-paths.ts';
import { createProgram } from '../../../../cli/program.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { serviceSpecProblems } from '../../../../manager/api/validate/service-spec.ts';
import {
  ContainerSpec,
  DnsConfig,
  HealthCheck,
  LogDriver,
  Mount,
  MountType,
  Placement,
  PortSpec,
  Probe,
  Probes,
  RestartPolicy,
  ServiceSpec,
  TaskSpec,
  Ulimit,
  UpdateConfig,
} from '../../../../proto/index.ts';
import { capturedShell, shoal } from '../../../support/captured-shell.ts';
import { startFakeControl } from '../../../support/fake-control.ts';

const TOO_LONG_MS = 4_000_000_000;
const ROLLOUT = UpdateConfig.create({ parallelism: 4_000_000_000, delayMs: TOO_LONG_MS, monitorMs: TOO_LONG_MS, maxFailureRatio: 2 });
/** Wrong wherever it can be. */
const WRONG = ServiceSpec.create({
  name: '-',
  replicas: 4_000_000_000,
  labels: { '': 'x' },
  update: ROLLOUT,
  rollback: ROLLOUT,
  drainPeriodMs: TOO_LONG_MS,
  ports: [PortSpec.create({ targetPort: 0, publishedPort: 70_000 })],
  task: TaskSpec.create({
    reservations: { nanoCpus: 1, memoryBytes: 1, pids: 0 },
    limits: { nanoCpus: 1, memoryBytes: 1, pids: 2 ** 31 },
    restart: RestartPolicy.create({ delayMs: TOO_LONG_MS, windowMs: TOO_LONG_MS }),
    placement: Placement.create({ constraints: ['nonsense'] }),
    probes: Probes.create({
      readiness: Probe.create(),
      liveness: Probe.create({ intervalMs: 1 }),
      startup: Probe.create({ successes: 2 }),
    }),
    logDriver: LogDriver.create({ name: '', options: { '': 'x' } }),
    container: ContainerSpec.create({
      image: 'NO IMAGE',
      env: ['=x'],
      dir: 'here',
      hostname: '!',
      groups: ['a b'],
      labels: { '': 'x' },
      mounts: [Mount.create({ type: MountType.BIND, source: 'x', target: 'y' })],
      stopSignal: 'SIGNONE',
      stopGracePeriodMs: TOO_LONG_MS,
      healthCheck: HealthCheck.create({
        test: ['SOME'],
        intervalMs: TOO_LONG_MS,
        timeoutMs: TOO_LONG_MS,
        startPeriodMs: TOO_LONG_MS,
        retries: 5000,
      }),
      hosts: ['x'],
      dns: DnsConfig.create({ nameservers: ['x'], search: [' '], options: [' '] }),
      capAdd: ['no cap'],
      capDrop: ['no cap'],
      ulimits: [Ulimit.create({ name: 'none' })],
    }),
  }),
});

describe('paths in the spec', () => {
  it('are named by the flags of create and update, whatever the manager refuses', async () => {
    const program = createProgram(capturedShell().shell, [], () => () => Promise.resolve());
    await program.loadAll();
    const service = program.command.commands.find((command) => command.name() === 'service');
    const refused = serviceSpecProblems(WRONG).map(({ path }) => path);
    assert.ok(refused.length > 30, `only ${refused.length} fields are refused`);
    for (const purpose of ['create', 'update'] as const) {
      const flags = service?.commands.find((command) => command.name() === purpose)?.options.map(({ long }) => long) ?? [];
      const unknown = refused.filter((path) => {
        const [flag = ''] = flagOfPath(path, purpose)?.split(' ') ?? [];
        return !flags.includes(flag) && !['IMAGE', 'SERVICE', 'COMMAND'].includes(flag);
      });
      assert.deepEqual(unknown, [], purpose);
    }
  });

  it('keep what follows the flag, and are looked up with the name of the request too', () => {
    assert.equal(flagOfPath('spec.task.container.mounts[2].target', 'update'), '--mount-add target');
    assert.equal(flagOfPath('labels["a.b"]', 'create'), '--label');
    assert.equal(flagOfPath('replicas', 'scale'), 'SERVICE=REPLICAS');
    assert.equal(flagOfPath('labels["ssd"]', 'node'), '--label-add');
    assert.equal(flagOfPath('task.unheardOf', 'create'), undefined);
  });

  it('are replaced in messages that name another field', async () => {
    const refusal = ShoalError.invalid('no', [
      { path: 'ports[0].publishedPort', message: 'port 80/tcp is published twice, by ports[1] too' },
    ]);
    await assert.rejects(
      inFlags('create', () => Promise.reject(refusal)),
      { message: 'no: --publish published port: port 80/tcp is published twice, by --publish too' },
    );
  });
});

describe('filters that the manager refuses', () => {
  it('are named by their flag', async () => {
    const fields = [{ path: 'filters[0].key', message: '"nope" is not a filter here' }];
    const fake = await startFakeControl({ listServices: () => Promise.reject(ShoalError.invalid('the filters are not valid', fields)) });
    try {
      const { stderr } = await shoal(['service', 'ls', '--filter', 'nope=1'], { manager: fake.address });
      assert.equal(stderr, 'shoal: the filters are not valid:\n  --filter: "nope" is not a filter here\n');
    } finally {
      await fake.stop();
    }
  });
});
