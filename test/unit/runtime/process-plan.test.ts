import assert from 'node:assert/strict';
import { quote } from '../../../agent/runtime/process/exec.ts';
import { healthRules, type HealthState, nextHealth } from '../../../agent/runtime/process/health-check.ts';
import { type HostFacts, planProcess, signalOf } from '../../../agent/runtime/process/task-plan.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { DnsConfig, HealthCheck, LogDriver, Mount, Resources, Ulimit } from '../../../proto/index.ts';
import { taskContext, type TaskFields } from '../../support/task-context.ts';

const host: HostFacts = { path: '/usr/bin:/bin', home: '/root', userName: 'ann', userId: 1000 };
const plan = (fields: TaskFields) =>
  planProcess(taskContext({ ...fields, container: { image: 'process', command: ['run'], ...fields.container } }), host);
const refusal = (fields: TaskFields): string => {
  try {
    plan(fields);
  } catch (error) {
    assert.ok(error instanceof ShoalError);
    assert.equal(error.code, 'failed_precondition');
    return error.message;
  }
  return assert.fail('not refused');
};

describe('the plan of a plain process', () => {
  it('is its command and arguments with the defaults of a container', () => {
    const { argv, stopSignal, stopGraceMs, workdir } = plan({ container: { command: ['node'], args: ['a.js'] } });
    assert.deepEqual(
      { argv, stopSignal, stopGraceMs, workdir },
      { argv: ['node', 'a.js'], stopSignal: 'SIGTERM', stopGraceMs: 10_000, workdir: '' },
    );
  });

  it('refuses every image but "process" and says what to do', () => {
    assert.match(refusal({ container: { image: 'nginx:1' } }), /image "nginx:1" cannot run on this node.*--runtime docker.*"process"/);
    assert.match(refusal({ container: { image: 'process:1' } }), /cannot run/);
    assert.match(refusal({ container: { image: 'process', command: [] } }), /names no command/);
  });

  it('names everything at once that a plain process cannot honour', () => {
    const message = refusal({
      container: {
        mounts: [Mount.create({ target: '/a' })],
        hostname: 'web',
        user: 'bob',
        groups: ['audio'],
        hosts: ['1.2.3.4 a'],
        dns: DnsConfig.create({ search: ['local'] }),
        capAdd: ['ALL'],
        capDrop: ['ALL'],
        readOnly: true,
        ulimits: [Ulimit.create({ name: 'nofile' })],
        tty: true,
        stopSignal: 'SIGNONE',
      },
      spec: {
        limits: Resources.create({ nanoCpus: 1, memoryBytes: 1, pids: 1 }),
        logDriver: LogDriver.create({ name: 'syslog', options: { tag: 'web' } }),
      },
    });
    for (const word of [
      'CPU limit',
      'memory limit',
      'limit of processes',
      'log driver syslog',
      'log options',
      'mounts',
      'hostname',
      'user bob',
      'groups',
      '/etc/hosts',
      'DNS',
      'added cap',
      'dropped cap',
      'read-only',
      'ulimits',
      'terminal',
      'SIGNONE',
    ]) {
      assert.ok(message.includes(word), `${word} in ${message}`);
    }
  });

  it('takes what costs nothing: reservations, labels, an init, its own user', () => {
    plan({
      container: { user: 'ann', init: true, labels: { a: 'b' }, dns: DnsConfig.create() },
      spec: { reservations: Resources.create({ memoryBytes: 1e9 }), logDriver: LogDriver.create({ name: 'json-file' }) },
    });
    plan({ container: { user: '1000' } });
  });

  it('gives the ports precedence over the environment of the task, and that over the host', () => {
    const { env } = plan({
      container: { env: ['PORT=1', 'A=x=y', 'HOME', 'PATH=/opt'] },
      ports: [
        { protocol: 'udp', targetPort: 53, nodePort: 20_001, host: false },
        { protocol: 'tcp', targetPort: 53, nodePort: 20_002, host: false },
        { protocol: 'udp', targetPort: 99, nodePort: 20_003, host: false },
      ],
    });
    assert.deepEqual(env, {
      PATH: '/opt',
      A: 'x=y',
      HOST: '127.0.0.1',
      PORT: '20001',
      PORT_53: '20002',
      PORT_53_UDP: '20001',
      PORT_99: '20003',
      PORT_99_UDP: '20003',
    });
  });

  it('reads signals in every common form', () => {
    assert.deepEqual(['', 'SIGINT', 'int', '3', 'none'].map(signalOf), ['SIGTERM', 'SIGINT', 'SIGINT', 'SIGQUIT', 'SIGTERM']);
  });

  it('quotes words for a shell', () => {
    assert.equal(quote(`it's $HOME`), `'it'\\''s $HOME'`);
  });
});

describe('health checks of plain processes', () => {
  const rules = healthRules(HealthCheck.create({ test: ['CMD', 'true'], retries: 2, startPeriodMs: 1000 }));
  const run = (start: HealthState, ...results: readonly (readonly [passed: boolean, sinceStartMs: number])[]): HealthState =>
    results.reduce((state, [passed, sinceStartMs]) => nextHealth(state, passed, sinceStartMs, rules ?? assert.fail()), start);
  const starting: HealthState = { health: 'starting', failures: 0 };

  it('have the defaults of Docker', () => {
    const { startPeriodMs, ...defaults } = healthRules(HealthCheck.create({ test: ['CMD-SHELL', 'a | b'] })) ?? assert.fail();
    assert.deepEqual(defaults, { argv: ['/bin/sh', '-c', 'a | b'], intervalMs: 30_000, timeoutMs: 30_000, retries: 3 });
    assert.equal(startPeriodMs, 0);
    assert.equal(healthRules(HealthCheck.create({ test: ['NONE'] })), undefined);
    assert.equal(healthRules(HealthCheck.create()), undefined);
    assert.equal(healthRules(undefined), undefined);
  });

  it('forgive failures within the start period, until one has succeeded', () => {
    assert.deepEqual(run(starting, [false, 100], [false, 200], [false, 999]), starting);
    assert.equal(run(starting, [true, 100], [false, 200], [false, 300]).health, 'unhealthy');
  });

  it('turn unhealthy after as many failures in a row as retries, and healthy at the first success', () => {
    assert.equal(run(starting, [false, 1000]).health, 'starting');
    assert.equal(run(starting, [false, 1000], [false, 1000]).health, 'unhealthy');
    assert.equal(run(starting, [true, 1000], [false, 1000], [true, 1000], [false, 1000]).health, 'healthy');
    assert.deepEqual(run(starting, [false, 1000], [false, 1000], [true, 1000]), { health: 'healthy', failures: 0 });
  });
});
