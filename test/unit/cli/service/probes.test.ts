import assert from 'node:assert/strict';
import { probeText, whyNotReady } from '../../../../cli/format/probes.ts';
import type { FlagValues } from '../../../../cli/service/spec/flag-reader.ts';
import { parseProbe } from '../../../../cli/service/spec/probes.ts';
import { createSpec, updateSpec } from '../../../support/flag-specs.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { Endpoint, Probe, type Probes, TaskState, TaskStatus, TaskView } from '../../../../proto/index.ts';
import { shoal } from '../../../support/captured-shell.ts';

const HERE = { env: {}, cwd: '/' };

function create(flags: FlagValues): Probes | undefined {
  return createSpec('nginx', [], flags, HERE, () => 'web').task?.probes;
}

function update(before: FlagValues, flags: FlagValues): Probes | undefined {
  return updateSpec(
    createSpec('nginx', [], before, HERE, () => 'web'),
    flags,
    HERE,
  ).task?.probes;
}

function texts(probes: Probes | undefined): readonly (string | undefined)[] {
  return [probes?.readiness, probes?.liveness, probes?.startup].map((probe) => probe && probeText(probe));
}

function problemsOf(flags: FlagValues): readonly string[] {
  try {
    create(flags);
  } catch (error) {
    assert.ok(error instanceof ShoalError);
    return error.fields.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe('a probe on the command line', () => {
  it('takes every form with every option', () => {
    const readiness = parseProbe(
      'https:8443/ready?a=b,interval=5s,timeout=500ms,failures=2,successes=3,initial-delay=1m,host=example.com,header=X-A:1,header=X-B: two',
      'readiness',
    );
    assert.deepEqual(
      readiness,
      Probe.create({
        check: {
          case: 'http',
          value: {
            port: 8443,
            path: '/ready?a=b',
            tls: true,
            host: 'example.com',
            headers: [
              { name: 'X-A', value: '1' },
              { name: 'X-B', value: 'two' },
            ],
          },
        },
        intervalMs: 5000,
        timeoutMs: 500,
        failures: 2,
        successes: 3,
        initialDelayMs: 60_000,
      }),
    );
  });

  const roundTrips = [
    'tcp:5432',
    'http:80/,interval=5s',
    'https:8443/ready?x=1,host=a.example,header=X-A:1',
    'grpc:50051',
    'grpc:50051/my.Service,timeout=2s',
    'exec:pg_isready -U app -d a,b,failures=5',
    'exec:["/app","--check"],interval=1m0s',
    'exec:test "$(cat /run/x)" = ok',
  ];
  for (const text of roundTrips) {
    it(`is shown as it was given: ${text}`, () => {
      const probe = parseProbe(text, 'readiness');
      if (typeof probe === 'string') throw new Error(probe);
      assert.equal(probeText(probe), text);
    });
  }

  it('gives a command to the shell, or word by word', () => {
    const command = (text: string): readonly string[] | undefined => {
      const probe = parseProbe(text, 'liveness');
      return typeof probe !== 'string' && probe.check?.case === 'exec' ? probe.check.value.command : undefined;
    };
    assert.deepEqual(command('exec:curl -d a=1,b=2 x,interval=5s'), ['/bin/sh', '-c', 'curl -d a=1,b=2 x']);
    assert.deepEqual(command('exec:["/app","a b"]'), ['/app', 'a b']);
  });

  it('goes to readiness and liveness where it has no kind', () => {
    const probes = create({ probe: 'http:80/x,successes=2', startupProbe: 'tcp:80' });
    assert.deepEqual(texts(probes), ['http:80/x,successes=2', 'http:80/x', 'tcp:80']);
  });

  it('is kept, replaced and removed by an update, kind by kind', () => {
    const before = { readinessProbe: 'tcp:1', livenessProbe: 'tcp:2', startupProbe: 'tcp:3' };
    assert.deepEqual(texts(update(before, {})), ['tcp:1', 'tcp:2', 'tcp:3']);
    assert.deepEqual(texts(update(before, { livenessProbe: 'tcp:9' })), ['tcp:1', 'tcp:9', 'tcp:3']);
    assert.deepEqual(texts(update(before, { withoutLivenessProbe: false })), ['tcp:1', undefined, 'tcp:3']);
    assert.deepEqual(texts(update(before, { probe: 'tcp:9' })), ['tcp:9', 'tcp:9', 'tcp:3']);
    assert.deepEqual(texts(update(before, { withoutProbe: false, readinessProbe: 'tcp:9' })), ['tcp:9', undefined, undefined]);
    assert.equal(update(before, { withoutProbe: false }), undefined);
  });

  const refused: readonly (readonly [flags: FlagValues, problem: RegExp])[] = [
    [{ readinessProbe: '8080' }, /^--readiness-probe: "8080": is not tcp:PORT, http:PORT\/PATH/],
    [{ probe: 'udp:53' }, /^--probe: "udp:53": is not tcp:PORT/],
    [{ probe: 'tcp:0' }, /"0" is not a port between 1 and 65535/],
    [{ probe: 'tcp:70000' }, /"70000" is not a port/],
    [{ probe: 'tcp:80/x' }, /nothing follows the port of tcp, but "\/x" does/],
    [{ probe: 'http:80/a b' }, /holds a blank/],
    [{ probe: 'http:80/,header=X' }, /"X" is not a header such as/],
    [{ probe: 'tcp:80,host=x' }, /host is for http and https/],
    [{ startupProbe: 'tcp:80,every=5s' }, /^--startup-probe: .*"every" is not one of interval, timeout/],
    [{ livenessProbe: 'tcp:80,interval=5' }, /interval=5 is not a duration such as/],
    [{ livenessProbe: 'tcp:80,interval=10ms' }, /interval=10ms is less than the least possible, 100ms/],
    [{ livenessProbe: 'tcp:80,timeout=0' }, /timeout=0 is less than/],
    [{ livenessProbe: 'tcp:80,initial-delay=200h' }, /longer than 7 days/],
    [{ livenessProbe: 'tcp:80,failures=0' }, /failures=0 is not a number from 1 to 10000/],
    [{ livenessProbe: 'tcp:80,successes=2' }, /successes is for readiness/],
    [{ livenessProbe: 'exec:' }, /names no command/],
    [{ livenessProbe: 'exec:[1]' }, /must be a JSON list of words/],
    [{ livenessProbe: 'exec:true,intervall=5s' }, /"intervall" is not one of .*goes in as exec:\["\/bin\/sh"/],
    [{ probe: 'tcp:80', readinessProbe: 'tcp:81' }, /^--readiness-probe: contradicts --probe/],
  ];
  for (const [flags, problem] of refused) {
    it(`is refused with the flag, the value and the rule: ${JSON.stringify(flags)}`, () => {
      const problems = problemsOf(flags);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', problem);
    });
  }

  it('is removed by a flag of update alone', async () => {
    assert.match((await shoal(['service', 'update', '--help'])).stdout, /--no-readiness-probe .*remove the readiness probe/);
    const { stdout } = await shoal(['service', 'create', '--help']);
    assert.match(stdout, /--startup-probe <CHECK\[,OPTIONS\]>/);
    assert.doesNotMatch(stdout, /--no-probe/);
  });
});

describe('why a task is not ready', () => {
  const why = (status: Partial<TaskStatus>, state: TaskState = TaskState.RUNNING): string | undefined =>
    whyNotReady(TaskView.create({ state, status: TaskStatus.create({ state, ...status }) }));

  it('is what its readiness probe says last', () => {
    assert.equal(why({ readiness: { ready: false, reason: 'GET /: 503', sinceUnixMs: 1 } }), 'GET /: 503');
    assert.equal(why({ readiness: { ready: true, reason: '', sinceUnixMs: 1 } }), undefined);
  });

  it('is the port that nothing answers, where it has no readiness probe', () => {
    assert.equal(why({ endpoints: [Endpoint.create({ targetPort: 80 })] }), 'nothing answers on port 80 yet');
    assert.equal(why({ endpoints: [Endpoint.create({ targetPort: 80, ready: true })] }), undefined);
  });

  it('is nobody’s question while it does not run', () => {
    assert.equal(why({ endpoints: [Endpoint.create({ targetPort: 80 })] }, TaskState.STARTING), undefined);
  });
});
