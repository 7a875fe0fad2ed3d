import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EnvironmentSource } from '../../../../cli/service/spec/key-values.ts';
import type { FlagValues } from '../../../../cli/service/spec/flag-reader.ts';
import { createSpec } from '../../../support/flag-specs.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { RestartCondition, ServiceMode, type ServiceSpec, UpdateOrder } from '../../../../proto/index.ts';

function create(flags: FlagValues, args: readonly string[] = [], source: EnvironmentSource = { env: {}, cwd: '/' }): ServiceSpec {
  return createSpec('nginx:1.25', args, flags, source, () => 'brisk_herring');
}

function problemsOf(flags: FlagValues, image = 'nginx'): readonly string[] {
  try {
    createSpec(image, [], flags, { env: {}, cwd: '/' }, () => 'brisk_herring');
  } catch (error) {
    assert.ok(error instanceof ShoalError);
    assert.equal(error.code, 'invalid_argument');
    return error.fields.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe('the spec of a new service', () => {
  it('has Docker’s defaults', () => {
    const spec = create({}, ['sleep', '1d']);
    assert.equal(spec.name, 'brisk_herring');
    assert.equal(spec.mode, ServiceMode.REPLICATED);
    assert.equal(spec.replicas, 1);
    assert.equal(spec.drainPeriodMs, 10_000);
    const { task } = spec;
    assert.deepEqual(task?.container?.args, ['sleep', '1d']);
    assert.deepEqual(task.restart, { condition: RestartCondition.ANY, delayMs: undefined, maxAttempts: 0, windowMs: 0 });
    assert.deepEqual(spec.update, {
      parallelism: 1,
      delayMs: 0,
      monitorMs: 5000,
      failureAction: 0,
      maxFailureRatio: 0,
      order: UpdateOrder.AUTO,
      progressDeadlineMs: undefined,
    });
    assert.equal(task.limits, undefined);
    assert.equal(task.container.healthCheck, undefined);
    assert.equal(task.container.stopGracePeriodMs, undefined);
  });

  it('takes every flag', () => {
    const spec = create({
      name: 'web',
      replicas: '3',
      publish: ['8080:80'],
      env: ['A=1', 'B=x=y', 'A=2'],
      label: ['tier=front', 'bare'],
      containerLabel: ['c=d'],
      mount: ['source=data,target=/data'],
      tmpfs: ['/run'],
      constraint: ['node.labels.ssd == true', 'node.role!=manager'],
      host: ['db:10.0.0.5', 'six:[::1]'],
      dns: ['1.1.1.1'],
      dnsSearch: ['example.org'],
      dnsOption: ['ndots:2'],
      ulimit: ['nofile=1024:4096', 'core=-1'],
      group: ['video'],
      capAdd: ['net_admin'],
      capDrop: ['ALL'],
      user: '1000:1000',
      workdir: '/srv',
      hostname: 'web-{{.Task.Slot}}',
      entrypoint: `sh -c 'echo "a b"'`,
      stopSignal: 'SIGINT',
      stopGracePeriod: '30s',
      healthCmd: 'curl -f localhost',
      healthInterval: '10s',
      healthRetries: '4',
      readOnly: true,
      init: false,
      tty: true,
      reserveCpu: '0.5',
      reserveMemory: '64m',
      limitCpu: '2',
      limitMemory: '1g',
      limitPids: '100',
      restartCondition: 'on-failure',
      restartDelay: '1500ms',
      restartMaxAttempts: '3',
      restartWindow: '2m',
      replicasMaxPerNode: '2',
      updateParallelism: '0',
      updateDelay: '1s',
      updateOrder: 'start-first',
      updateMaxFailureRatio: '.25',
      drainPeriod: '0s',
      portCheck: false,
      logDriver: 'json-file',
      logOpt: ['max-size=10m'],
    });
    const { task } = spec;
    const container = task?.container;
    assert.equal(spec.replicas, 3);
    assert.deepEqual(container?.env, ['A=2', 'B=x=y']);
    assert.deepEqual(spec.labels, { tier: 'front', bare: '' });
    assert.deepEqual(container.labels, { c: 'd' });
    assert.deepEqual(
      container.mounts.map(({ target }) => target),
      ['/data', '/run'],
    );
    assert.deepEqual(task?.placement?.constraints, ['node.labels.ssd==true', 'node.role!=manager']);
    assert.deepEqual(container.hosts, ['10.0.0.5 db', '::1 six']);
    assert.deepEqual(container.dns, { nameservers: ['1.1.1.1'], search: ['example.org'], options: ['ndots:2'] });
    assert.deepEqual(container.ulimits, [
      { name: 'nofile', soft: 1024, hard: 4096 },
      { name: 'core', soft: -1, hard: -1 },
    ]);
    assert.deepEqual(container.capAdd, ['CAP_NET_ADMIN']);
    assert.deepEqual(container.capDrop, ['ALL']);
    assert.deepEqual(container.command, ['sh', '-c', 'echo "a b"']);
    assert.equal(container.stopGracePeriodMs, 30_000);
    assert.deepEqual(container.healthCheck, {
      test: ['CMD-SHELL', 'curl -f localhost'],
      intervalMs: 10_000,
      timeoutMs: 0,
      retries: 4,
      startPeriodMs: 0,
    });
    assert.equal(container.init, false);
    assert.deepEqual(task.reservations, { nanoCpus: 5e8, memoryBytes: 64 * 1024 ** 2, pids: 0 });
    assert.deepEqual(task.limits, { nanoCpus: 2e9, memoryBytes: 1024 ** 3, pids: 100 });
    assert.deepEqual(task.restart, { condition: RestartCondition.ON_FAILURE, delayMs: 1500, maxAttempts: 3, windowMs: 120_000 });
    assert.equal(task.placement.maxReplicasPerNode, 2);
    assert.equal(spec.update?.parallelism, 0);
    assert.equal(spec.update.maxFailureRatio, 0.25);
    assert.equal(spec.drainPeriodMs, 0);
    assert.equal(task.noPortCheck, true);
    assert.deepEqual(task.logDriver, { name: 'json-file', options: { 'max-size': '10m' } });
  });

  it('is global without replicas', () => {
    const spec = create({ mode: 'global' });
    assert.equal(spec.mode, ServiceMode.GLOBAL);
    assert.equal(spec.replicas, 0);
  });

  it('reads environment files, and takes variables without a value from here', () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-env-'));
    try {
      writeFileSync(join(folder, 'app.env'), '\uFEFF# settings\r\nA=from file\r\n\r\nHERE\nGONE\n  C=last\n');
      const spec = create({ envFile: ['app.env'], env: ['A=flag', 'HERE2'] }, [], {
        env: { HERE: 'yes', HERE2: 'too' },
        cwd: folder,
      });
      assert.deepEqual(spec.task?.container?.env, ['A=flag', 'HERE=yes', 'C=last', 'HERE2=too']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('turns the image’s health check off', () => {
    assert.deepEqual(create({ healthcheck: false }).task?.container?.healthCheck?.test, ['NONE']);
  });

  it('names every wrong flag at once', () => {
    assert.deepEqual(
      problemsOf(
        {
          name: '-x',
          mode: 'batch',
          replicas: '-1',
          publish: ['x', '70000:80', '80:80', '80:81'],
          env: ['=1'],
          label: ['=x'],
          mount: ['target=/a', 'target=/a'],
          constraint: ['node.role'],
          host: ['db'],
          dns: ['resolver'],
          ulimit: ['nofile'],
          limitMemory: '1k',
          reserveCpu: '99999999',
          stopGracePeriod: '10',
          healthCmd: 'true',
          healthcheck: false,
          restartCondition: 'sometimes',
          updateFailureAction: 'restart',
          rollbackFailureAction: 'rollback',
          updateMaxFailureRatio: '2',
          logOpt: ['a=b'],
          network: ['front'],
          entrypoint: '"open',
        },
        '',
      ).map((problem) => problem.replace(/:.*/, '')),
      [
        '--name',
        '--mode',
        '--network',
        '--publish',
        '--publish',
        '--publish',
        '--label',
        '--replicas',
        'IMAGE',
        '--entrypoint',
        '--env',
        '--mount',
        '--stop-grace-period',
        '--no-healthcheck',
        '--host',
        '--dns',
        '--ulimit',
        '--reserve-cpu',
        '--limit-memory',
        '--restart-condition',
        '--constraint',
        '--log-opt',
        '--update-failure-action',
        '--update-max-failure-ratio',
        '--rollback-failure-action',
      ],
    );
  });

  it('refuses a reservation above its limit, replicas of a global service', () => {
    assert.match(
      problemsOf({ reserveMemory: '2g', limitMemory: '1g' })[0] ?? '',
      /--reserve-memory: 2GiB is more than --limit-memory allows, 1GiB/,
    );
    assert.match(problemsOf({ mode: 'global', replicas: '3' })[0] ?? '', /--replicas: 3 is not taken: a global service/);
  });

  it('names what is wrong with an env-file in a line that can be read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-env-'));
    try {
      const file = (content: string): string => {
        writeFileSync(join(folder, 'env'), content);
        return join(folder, 'env');
      };
      assert.deepEqual(problemsOf({ envFile: [file(`A=1\nb \u001b[2J${'x'.repeat(5000)}`)] }), [
        `--env-file: "b \\u001b[2J${'x'.repeat(54)}…" is not KEY=VALUE`,
      ]);
      const path = file('A=1\n\0\0\0');
      assert.deepEqual(problemsOf({ envFile: [path] }), [`--env-file: cannot read ${path}: it is not a text file`]);
      assert.deepEqual(problemsOf({ envFile: ['/dev/zero'] }), ['--env-file: cannot read /dev/zero: it has more than 1 MiB']);
      assert.match(problemsOf({ envFile: [folder] })[0] ?? '', /cannot read .*EISDIR/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
