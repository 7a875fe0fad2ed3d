import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ShoalError } from '../../../../lib/errors.ts';
import {
  ContainerSpec,
  FailureAction,
  type GetServiceSpecRequest,
  Placement,
  type RollbackServiceRequest,
  ServiceChange,
  ServiceProgress,
  ServiceSpecEntry,
  ServiceSpecList,
  ServiceSpecView,
  TaskSpec,
  UpdateConfig,
  UpdateState,
  UpdateStatus,
} from '../../../../proto/index.ts';
import { specChanges } from '../../../../cli/service/spec/spec-changes.ts';
import { NOW_UNIX_MS, shoal } from '../../../support/captured-shell.ts';
import { idOf, serviceView } from '../../../support/cli-fixtures.ts';
import { fakeControls } from '../../../support/fake-control.ts';
import { publish, specOf } from '../../../support/service-specs.ts';

const fakes = fakeControls();

const BEFORE = serviceView('web', {}, { version: 77, specNumber: 6 });
const AFTER = ServiceChange.create({ service: { ...BEFORE, version: 78, specNumber: 7 }, revision: 78, specNumber: 7 });

function telling(state: UpdateState, message: string, converged: boolean, specNumber = 7) {
  const update = UpdateStatus.create({ state, message, specNumber, startedUnixMs: 5 });
  const progress = ServiceProgress.create({ serviceId: idOf('web'), desired: 2, running: converged ? 2 : 1, update, converged });
  return {
    getService: () => Promise.resolve(BEFORE),
    updateService: () => Promise.resolve(AFTER),
    rollbackService: () => Promise.resolve(AFTER),
    watchProgress: (_request: unknown, call: { write(progress: ServiceProgress): unknown }) => {
      call.write(progress);
      return Promise.resolve();
    },
  };
}

describe('service rollback', () => {
  it('goes back to the spec asked for, with the version read, and waits', async () => {
    const requests: RollbackServiceRequest[] = [];
    const manager = await fakes.start({
      ...telling(UpdateState.ROLLBACK_COMPLETED, 'rollback completed', true),
      rollbackService: (request) => {
        requests.push(request);
        return Promise.resolve(AFTER);
      },
    });
    const { exitCode, stdout, stderr } = await shoal(['service', 'rollback', '--to', '4', 'web'], { manager });
    assert.deepEqual([exitCode, stdout], [0, 'web\n']);
    assert.match(stderr, /service web converged/);
    assert.equal((await shoal(['service', 'rollback', '-d', 'web'], { manager })).exitCode, 0);
    assert.equal((await shoal(['service', 'update', '--rollback', '--detach', 'web'], { manager })).exitCode, 0);
    assert.deepEqual(
      requests.map(({ ref, version, toSpecNumber }) => [ref, version, toSpecNumber]),
      [
        [idOf('web'), 77, 4],
        [idOf('web'), 77, 0],
        [idOf('web'), 77, 0],
      ],
    );
  });

  it('fails with 6 where it is paused, and says why', async () => {
    const manager = await fakes.start(telling(UpdateState.ROLLBACK_PAUSED, 'rollback paused due to failure of task web.1', false));
    const { exitCode, stderr } = await shoal(['service', 'rollback', 'web'], { manager });
    assert.equal(exitCode, 6);
    assert.match(stderr, /the rollback of web was paused: rollback paused due to failure of task web\.1\. .*service ps web/);
  });

  it('puts one full stop after the reason, whether or not it has one', async () => {
    const manager = await fakes.start(telling(UpdateState.ROLLBACK_PAUSED, 'no suitable node with Docker or Podman.', false));
    const { stderr } = await shoal(['service', 'rollback', 'web'], { manager });
    assert.match(stderr, /with Docker or Podman\. `shoal service ps web`/);
  });

  it('refuses what is no number, and other flags beside --rollback', async () => {
    const bad = await shoal(['service', 'rollback', '--to', 'last', 'web'], { manager: '127.0.0.1:1' });
    assert.equal(bad.exitCode, 2);
    assert.match(bad.stderr, /--to: "last" is not the number of a spec/);
    const both = await shoal(['service', 'update', '--rollback', '--image', 'x', '--env-add', 'A=1', 'web'], { manager: '127.0.0.1:1' });
    assert.equal(both.exitCode, 2);
    assert.match(both.stderr, /--rollback: .*cannot be combined with --image, --env-add/);
  });

  it('reports that there is nothing to go back to', async () => {
    const manager = await fakes.start({
      getService: () => Promise.resolve(BEFORE),
      rollbackService: () => Promise.reject(new ShoalError('failed_precondition', 'service web has no earlier spec to go back to')),
    });
    const { exitCode, stderr } = await shoal(['service', 'rollback', 'web'], { manager });
    assert.deepEqual([exitCode, stderr], [1, 'shoal: service web has no earlier spec to go back to\n']);
  });
});

describe('service update that is rolled back', () => {
  it('fails with 6 and the reason once the earlier spec runs again', async () => {
    const message = 'rollback completed: update rolled back due to failure of task web.1, which failed: exit code 3';
    const manager = await fakes.start(telling(UpdateState.ROLLBACK_COMPLETED, message, true));
    const { exitCode, stderr } = await shoal(['service', 'update', '--force', 'web'], { manager });
    assert.equal(exitCode, 6);
    assert.match(stderr, /web is back at its earlier spec: update rolled back due to failure of task web\.1, which failed: exit code 3\./);
  });

  it('fails with 6 also where the answer comes so late that it shows the earlier spec already', async () => {
    const manager = await fakes.start({
      ...telling(UpdateState.ROLLBACK_COMPLETED, 'rollback completed: update rolled back due to failure of task web.1', true),
      updateService: () => Promise.resolve({ ...AFTER, service: { ...BEFORE, version: 78 } }),
    });
    const { exitCode, stderr } = await shoal(['service', 'update', '--force', 'web'], { manager });
    assert.deepEqual([exitCode, stderr.includes('web is back at its earlier spec')], [6, true]);
  });

  it('shows that it goes back', async () => {
    const manager = await fakes.start({
      ...telling(UpdateState.ROLLBACK_STARTED, 'update rolled back due to failure of task web.1', false),
    });
    const { stderr } = await shoal(['service', 'update', '--force', '--timeout', '50ms', 'web'], { manager });
    assert.match(stderr, /overall progress: 1 out of 2 tasks \(update rolled back due to failure of task web\.1\)/);
  });

  it('takes the rollback of an earlier update for old news', async () => {
    const manager = await fakes.start(telling(UpdateState.ROLLBACK_COMPLETED, 'rollback completed', true, 5));
    assert.equal((await shoal(['service', 'update', '--force', 'web'], { manager })).exitCode, 0);
  });
});

describe('service history', () => {
  it('lists the specs with who made them', async () => {
    const entry = { createdUnixMs: NOW_UNIX_MS - 7_200_000, image: 'nginx:1.27@sha256:abc', replicas: 3 };
    const entries = [
      ServiceSpecEntry.create({ ...entry, number: 7, rolledBack: true, image: 'nginx:broken' }),
      ServiceSpecEntry.create({ ...entry, number: 6, active: true, rollbackTo: 1 }),
      ServiceSpecEntry.create({ ...entry, number: 5, previous: true }),
      ServiceSpecEntry.create({ ...entry, number: 1 }),
    ];
    const manager = await fakes.start({ listServiceSpecs: () => Promise.resolve(ServiceSpecList.create({ entries })) });
    const { stdout } = await shoal(['service', 'history', 'web'], { manager });
    assert.equal(
      stdout,
      `NUMBER    STATUS        BY              CREATED       IMAGE          REPLICAS
7         rolled back   update          2 hours ago   nginx:broken   3
6         active        rollback to 1   2 hours ago   nginx:1.27     3
5         previous      update          2 hours ago   nginx:1.27     3
1                       create          2 hours ago   nginx:1.27     3
`,
    );
    assert.equal((await shoal(['service', 'history', '-q', 'web'], { manager })).stdout, '7\n6\n5\n1\n');
  });
});

describe('service diff', () => {
  const old = specOf({
    spec: {
      replicas: 2,
      labels: { tier: 'front' },
      ports: [publish(8080, 80)],
      update: UpdateConfig.create({ parallelism: 1, monitorMs: 5000 }),
    },
    container: { image: 'nginx:1.27', env: ['A=1', 'B=2'] },
  });
  const fresh = specOf({
    spec: {
      replicas: 3,
      ports: [publish(8080, 81), publish(9090, 90)],
      update: UpdateConfig.create({ parallelism: 2, monitorMs: 90_000, failureAction: FailureAction.FAILURE_ROLLBACK }),
    },
    task: { limits: { nanoCpus: 5e8, memoryBytes: 64 * 1024 ** 2, pids: 0 }, noPortCheck: true },
    container: { image: 'nginx:1.28', env: ['B=3', 'C=4'], args: ['sleep', '1 d'] },
  });

  it('names each setting by its flag, with what it was and what it is', async () => {
    const asked: GetServiceSpecRequest[] = [];
    const manager = await fakes.start({
      getServiceSpec: (request) => {
        asked.push(request);
        return Promise.resolve(ServiceSpecView.create({ spec: request.number === 4 ? old : fresh }));
      },
    });
    const { stdout, exitCode } = await shoal(['service', 'diff', 'web', '4'], { manager });
    assert.equal(exitCode, 0);
    assert.equal(
      stdout,
      `FLAG                      BEFORE                                  AFTER
--label                   tier=front                              -
--replicas                2                                       3
--image                   nginx:1.27                              nginx:1.28
--env                     A=1                                     -
--env                     B=2                                     B=3
--update-parallelism      1                                       2
--update-monitor          5s                                      1m30s
--update-failure-action   pause                                   rollback
--publish                 published=8080,target=80,protocol=tcp   published=8080,target=81,protocol=tcp
--args                    -                                       sleep '1 d'
--env                     -                                       C=4
--limit-cpu               -                                       0.5
--limit-memory            -                                       64MiB
--no-port-check           -                                       true
--publish                 -                                       published=9090,target=90,protocol=tcp
`,
    );
    assert.deepEqual(asked.map(({ number }) => number).sort(), [0, 4]);
  });

  it('is silent where nothing differs', async () => {
    const manager = await fakes.start({ getServiceSpec: () => Promise.resolve(ServiceSpecView.create({ spec: old })) });
    assert.deepEqual(await shoal(['service', 'diff', 'web', '4', '5'], { manager }).then(({ stdout }) => stdout), '');
  });

  it('names a path where no flag sets the field', () => {
    const changes = specChanges(
      specOf(),
      specOf({
        task: TaskSpec.create({
          container: ContainerSpec.create({ image: 'nginx:1.27' }),
          placement: Placement.create({ platforms: [{ os: 'linux', arch: 'arm64' }] }),
        }),
      }),
    );
    const path = 'task.placement.platforms';
    assert.deepEqual(changes, [{ flag: path, path, before: undefined, after: '{"os":"linux","arch":"arm64"}' }]);
  });
});
