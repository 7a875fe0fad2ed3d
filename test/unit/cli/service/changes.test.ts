import assert from 'node:assert/strict';
import { ShoalError } from '../../../../lib/errors.ts';
import { runCli } from '../../../../cli/run.ts';
import {
  type CreateServiceRequest,
  PortProblem,
  type CheckServiceRequest,
  ServiceChange,
  ServiceCheck,
  ServiceMode,
  ServiceProgress,
  ServiceStatus,
  type ServiceView,
  SlotProgress,
  TaskState,
  type UpdateServiceRequest,
  UpdateState,
  UpdateStatus,
} from '../../../../proto/index.ts';
import { capturedShell, shoal } from '../../../support/captured-shell.ts';
import { idOf, serviceView } from '../../../support/cli-fixtures.ts';
import { fakeControls, type startFakeControl } from '../../../support/fake-control.ts';
import { publish } from '../../../support/service-specs.ts';
import { until } from '../../../support/until.ts';

type Handlers = Parameters<typeof startFakeControl>[0];
type Watch = NonNullable<Handlers['watchProgress']>;

const progress = (running: number, desired: number, more: Partial<ServiceProgress> = {}): ServiceProgress =>
  ServiceProgress.create({ serviceId: idOf('web'), running, desired, ...more });
const slot = (name: string, state: TaskState, message = '', nodeHostname = ''): SlotProgress =>
  SlotProgress.create({ slot: name, state, message, nodeHostname });

const CONVERGES: Watch = (_request, call) => {
  call.write(
    progress(0, 2, {
      slots: [slot('1', TaskState.NEW), slot('2', TaskState.PENDING, 'no suitable node (insufficient resources on 3 nodes)')],
    }),
  );
  call.write(
    progress(1, 2, {
      slots: [slot('1', TaskState.RUNNING, '', 'h1'), slot('2', TaskState.PENDING, 'no suitable node (insufficient resources on 3 nodes)')],
    }),
  );
  call.write(progress(1, 2, { slots: [slot('1', TaskState.RUNNING, '', 'h1'), slot('2', TaskState.PREPARING, 'pulling nginx', 'h2')] }));
  call.write(progress(2, 2, { converged: true, slots: [slot('1', TaskState.RUNNING, '', 'h1'), slot('2', TaskState.RUNNING, '', 'h2')] }));
  return Promise.resolve();
};

/** Says the same and never ends, until the client goes. */
const STUCK: Watch = (_request, call, { signal }) => {
  call.write(progress(0, 1, { slots: [slot('1', TaskState.PENDING, 'no suitable node')] }));
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
};

describe('changing services', () => {
  const fakes = fakeControls();
  const change = (service: ServiceView, revision = 20, warnings: readonly string[] = []): Promise<ServiceChange> =>
    Promise.resolve(ServiceChange.create({ service, revision, warnings, specNumber: service.specNumber }));

  describe('service create', () => {
    it('prints the id, and on stderr what it waits for, each change once', async () => {
      let asked: unknown;
      const manager = await fakes.start({
        createService: () => change(serviceView('web'), 20, ['image nginx could not be resolved']),
        watchProgress: (request, call, context) => {
          asked = request;
          return CONVERGES(request, call, context);
        },
      });
      const { exitCode, stdout, stderr } = await shoal(['service', 'create', '--name', 'web', '--replicas', '2', 'nginx'], { manager });
      assert.equal(exitCode, 0);
      assert.equal(stdout, `${idOf('web')}\n`);
      assert.deepEqual(asked, { serviceRef: idOf('web'), revision: 20, stableMs: 5000 });
      assert.equal(
        stderr,
        `warning: image nginx could not be resolved
overall progress: 0 out of 2 tasks
1/2: new
2/2: pending: no suitable node (insufficient resources on 3 nodes)
overall progress: 1 out of 2 tasks
1/2: running on h1
2/2: preparing on h2: pulling nginx
overall progress: 2 out of 2 tasks
2/2: running on h2
service web converged
`,
      );
    });

    it('warns of nodes that cannot open a published port once all is up, also where progress is not shown', async () => {
      const service = serviceView('web', { ports: [publish(8080, 80)] });
      const problem = PortProblem.create({ publishedPort: 8080, message: 'port 8080 is taken by another program on this node' });
      const manager = await fakes.start({
        createService: () => change(service),
        watchProgress: CONVERGES,
        getService: () => Promise.resolve({ ...service, portProblems: [{ nodeId: 'n2', hostname: 'h2', problem }] }),
      });
      const { exitCode, stderr } = await shoal(['service', 'create', '-q', '--name', 'web', '-p', '8080:80', 'nginx'], { manager });
      assert.equal(exitCode, 0);
      assert.equal(stderr, 'warning: h2 does not answer port 8080: port 8080 is taken by another program on this node\n');
    });

    it('says of each slot once why it waits, and again when that is another reason', async () => {
      const failed = 'its last task failed: exit code 3';
      const manager = await fakes.start({
        createService: () => change(serviceView('web')),
        watchProgress: (_request, call) => {
          const states: readonly (readonly [state: TaskState, message: string])[] = [
            [TaskState.FAILED, 'exit code 3'],
            [TaskState.READY, `waits out its restart delay; ${failed}`],
            [TaskState.PREPARING, failed],
            [TaskState.STARTING, failed],
            [TaskState.STARTING, 'its last task failed: exit code 4'],
            [TaskState.STARTING, failed],
          ];
          for (const [state, message] of states) call.write(progress(0, 1, { slots: [slot('1', state, message)] }));
          call.write(progress(1, 1, { converged: true, slots: [slot('1', TaskState.RUNNING)] }));
          return Promise.resolve();
        },
      });
      const { stderr } = await shoal(['service', 'create', 'nginx'], { manager });
      assert.deepEqual(
        stderr.split('\n').filter((line) => line.startsWith('1/1')),
        [
          '1/1: failed: exit code 3',
          `1/1: ready: waits out its restart delay; ${failed}`,
          '1/1: preparing',
          '1/1: starting',
          '1/1: starting: its last task failed: exit code 4',
          `1/1: starting: ${failed}`,
          '1/1: running',
        ],
      );
    });

    it('says what a running task lacks, which tasks are surplus, and that it verifies', async () => {
      const manager = await fakes.start({
        createService: () => change(serviceView('web')),
        watchProgress: (_request, call) => {
          const surplus = SlotProgress.create({ slot: '4', state: TaskState.RUNNING, message: 'is stopping', surplus: true });
          const notReady = slot('1', TaskState.RUNNING, 'waiting until it accepts connections on port 81');
          const slots = [slot('1', TaskState.RUNNING), slot('5', TaskState.RUNNING), surplus];
          call.write(progress(1, 2, { slots: [notReady, slot('5', TaskState.RUNNING), surplus] }));
          for (const verifyLeftMs of [2000, 1000]) call.write(progress(2, 2, { slots, verifyLeftMs }));
          call.write(progress(2, 2, { slots, converged: true }));
          return Promise.resolve();
        },
      });
      const { stderr } = await shoal(['service', 'create', 'nginx'], { manager });
      assert.deepEqual(stderr.split('\n').slice(0, -1), [
        'overall progress: 1 out of 2 tasks',
        '1/2: running: waiting until it accepts connections on port 81',
        'slot 5: running',
        'slot 4: running: is stopping',
        'overall progress: 2 out of 2 tasks',
        '1/2: running',
        'verifying that they stay up: 2 s left',
        'service web converged: 2 tasks run, 1 is still stopping',
      ]);
    });

    it('names what is wrong with the flags and what a manager would refuse of the rest, each once', async () => {
      let asked: CheckServiceRequest | undefined;
      const manager = await fakes.start({
        checkService: (request) => {
          asked = request;
          const problems = [
            { path: 'task.container.stopSignal', message: '"FOO" is not a signal' },
            { path: 'ports[1].publishedPort', message: 'port 8080/tcp is published twice, by ports[0] too' },
            { path: 'ports[0].publishedPort', message: 'port 8080/tcp is already published by service other' },
          ];
          return Promise.resolve(ServiceCheck.create({ problems }));
        },
      });
      const wrong = [
        '--stop-signal',
        'FOO',
        '--replicas',
        '-1',
        '-p',
        '8080:1',
        '-p',
        '8080:2',
        '--label',
        '',
        '--ulimit',
        'nofile=5:3',
        'nginx',
      ];
      const { exitCode, stderr } = await shoal(['service', 'create', ...wrong], { manager });
      assert.equal(exitCode, 2);
      assert.deepEqual(stderr.trimEnd().split('\n'), [
        'shoal: the service cannot be created:',
        '  --publish: port 8080/tcp is published twice',
        '  --label: "" is not KEY=VALUE',
        '  --replicas: "-1" is not a whole number of at least 0',
        '  --ulimit: "nofile=5:3": the soft limit is above the hard one',
        '  --stop-signal: "FOO" is not a signal',
        '  --publish published port: port 8080/tcp is already published by service other',
      ]);
      assert.equal(asked?.spec?.task?.container?.stopSignal, 'FOO');
      // What the manager would refuse once more is not asked about.
      assert.deepEqual([asked.spec.labels, asked.spec.task.container.ulimits], [{}, []]);
      assert.deepEqual(fakes.current?.calls, ['checkService']);
    });

    it('names what is wrong with the flags also where no manager answers', async () => {
      const { exitCode, stderr } = await shoal(['service', 'create', '--replicas', '-1', 'nginx'], { manager: '127.0.0.1:1' });
      assert.equal(exitCode, 2);
      assert.match(stderr, /--replicas: "-1" is not a whole number/);
    });

    it('says in its help that npx cannot pass --env-file', async () => {
      const { stdout } = await shoal(['service', 'create', '--help']);
      assert.match(stdout.replaceAll(/\s+/g, ' '), /--env-file <FILE> file of KEY=VALUE lines \(not with npx/);
    });

    it('verifies for as long as --verify says', async () => {
      let asked = -1;
      const manager = await fakes.start({
        createService: () => change(serviceView('web')),
        watchProgress: (request, call, context) => {
          asked = request.stableMs;
          return CONVERGES(request, call, context);
        },
      });
      await shoal(['service', 'create', '--verify', '0s', 'nginx'], { manager });
      assert.equal(asked, 0);
      await shoal(['service', 'create', '--verify', '1m', 'nginx'], { manager });
      assert.equal(asked, 60_000);
      const wrong = await shoal(['service', 'create', '--verify', '2h', 'nginx'], { manager });
      assert.match(wrong.stderr, /--verify: "2h" is not a duration/);
      assert.equal(wrong.exitCode, 2);
    });

    it('redraws in place on a terminal', async () => {
      const manager = await fakes.start({ createService: () => change(serviceView('web')), watchProgress: CONVERGES });
      const { stderr } = await shoal(['service', 'create', 'nginx'], { manager, terminal: true, columns: 30 });
      const [, second = ''] = stderr.split('\x1b[3A\r');
      assert.equal(
        second,
        '\x1b[2Koverall progress: 1 out of 2…\n\x1b[2K\x1b[32m1/2: running on h1\x1b[39m\n\x1b[2K\x1b[33m2/2: pending: no suitable no…\x1b[39m\n\x1b[J',
      );
    });

    it('shows no colours where NO_COLOR is set', async () => {
      const manager = await fakes.start({ createService: () => change(serviceView('web')), watchProgress: CONVERGES });
      const { stderr } = await shoal(['service', 'create', 'nginx'], { manager, terminal: true, env: { NO_COLOR: '1' } });
      assert.doesNotMatch(stderr.replaceAll('\x1b', 'ESC'), /ESC\[\d+m/);
    });

    it('returns at once with --detach, and is silent with --quiet', async () => {
      const manager = await fakes.start({ createService: () => change(serviceView('web')), watchProgress: CONVERGES });
      assert.equal((await shoal(['service', 'create', '-d', 'nginx'], { manager })).stderr, '');
      assert.deepEqual(fakes.current?.calls, ['createService']);
      assert.equal((await shoal(['service', 'create', '-q', '--detach=false', 'nginx'], { manager })).stderr, '');
      assert.deepEqual(fakes.current.calls, ['createService', 'createService', 'watchProgress']);
    });

    it('groups what many tasks wait for', async () => {
      const manager = await fakes.start({
        createService: () => change(serviceView('web')),
        watchProgress: (_request, call) => {
          const waiting = Array.from({ length: 30 }, (_, i) =>
            slot(String(i), TaskState.PENDING, i < 20 ? 'no suitable node' : 'no such image'),
          );
          call.write(progress(10, 40, { waiting }));
          call.write(progress(40, 40, { converged: true }));
          return Promise.resolve();
        },
      });
      const { stderr } = await shoal(['service', 'create', 'nginx'], { manager });
      assert.equal(
        stderr,
        `overall progress: 10 out of 40 tasks
20 tasks pending: no suitable node
10 tasks pending: no such image
overall progress: 40 out of 40 tasks
service web converged
`,
      );
    });

    it('exits with 6 when --timeout is over, naming the way to look on', async () => {
      const manager = await fakes.start({ createService: () => change(serviceView('web')), watchProgress: STUCK });
      const { exitCode, stderr, stdout } = await shoal(['service', 'create', '--timeout', '50ms', 'nginx'], { manager });
      assert.equal(exitCode, 6);
      assert.equal(stdout, `${idOf('web')}\n`);
      assert.match(
        stderr,
        /shoal: web has not converged within 0\.05 s; it goes on\. `shoal service ps web` shows how far it is, `shoal service explain web` why\n$/,
      );
    });

    it('goes on without the client after Ctrl-C, says so, and exits with 130', async () => {
      const manager = await fakes.start({ createService: () => change(serviceView('web')), watchProgress: STUCK });
      const captured = capturedShell();
      const run = runCli(['--host', manager, 'service', 'create', 'nginx'], captured.shell, []);
      await until(() => captured.stderr().includes('no suitable node'), 'the wait began');
      captured.interrupt();
      assert.equal(await run, 130);
      assert.match(captured.stderr(), /shoal: no longer waiting; the change to web goes on\. `shoal service ps web`/);
    });

    it('watches on where the stream breaks off', async () => {
      let watches = 0;
      const manager = await fakes.start({
        createService: () => change(serviceView('web')),
        watchProgress: (request, call, context) => {
          watches++;
          if (watches === 1) throw new ShoalError('unavailable', 'stopping');
          return CONVERGES(request, call, context);
        },
      });
      const { exitCode } = await shoal(['service', 'create', 'nginx'], { manager });
      assert.deepEqual([exitCode, watches], [0, 2]);
    });

    it('fails where the update is paused or the service removed meanwhile', async () => {
      const update = UpdateStatus.create({
        state: UpdateState.UPDATE_PAUSED,
        message: 'task web.1 failed',
        startedUnixMs: 5,
        specNumber: 1,
      });
      const answers = [progress(0, 1, { update }), progress(0, 0, { removed: true })];
      const manager = await fakes.start({
        createService: () => change(serviceView('web')),
        watchProgress: (_request, call) => {
          call.write(answers.shift() ?? progress(0, 0));
          return Promise.resolve();
        },
      });
      const paused = await shoal(['service', 'create', 'nginx'], { manager });
      assert.match(paused.stderr, /the update of web was paused: task web\.1 failed\./);
      assert.equal(paused.exitCode, 6);
      const removed = await shoal(['service', 'create', 'nginx'], { manager });
      assert.match(removed.stderr, /web was removed meanwhile/);
      assert.equal(removed.exitCode, 3);
    });

    it('prints each flag that the manager refuses on a line of its own', async () => {
      const fields = [
        { path: 'name', message: 'is taken by p7q2x1ab9c0d' },
        { path: 'ports[0].publishedPort', message: '8080 is published by api' },
      ];
      const manager = await fakes.start({
        createService: () => Promise.reject(ShoalError.invalid('the service cannot be created', fields)),
      });
      const { exitCode, stderr } = await shoal(['service', 'create', 'nginx'], { manager });
      assert.equal(exitCode, 2);
      assert.equal(
        stderr,
        `shoal: the service cannot be created:
  --name: is taken by p7q2x1ab9c0d
  --publish published port: 8080 is published by api
`,
      );
    });

    it('says once what is wrong where that is one thing', async () => {
      const message = 'port 80/tcp is already published by service api';
      const fields = [{ path: 'ports[0].publishedPort', message }];
      const manager = await fakes.start({ createService: () => Promise.reject(new ShoalError('already_exists', message, { fields })) });
      const { exitCode, stderr } = await shoal(['service', 'create', 'nginx'], { manager });
      assert.deepEqual([exitCode, stderr], [4, `shoal: --publish published port: ${message}\n`]);
    });

    it('makes up a name', async () => {
      let request: CreateServiceRequest | undefined;
      const manager = await fakes.start({
        createService: (given) => {
          request = given;
          return change(serviceView('web'));
        },
      });
      await shoal(['service', 'create', '-d', 'nginx', 'sh', '-c', 'exit --force=true'], { manager });
      assert.match(request?.spec?.name ?? '', /^[a-z]+_[a-z]+$/);
      assert.deepEqual(request?.spec?.task?.container?.args, ['sh', '-c', 'exit --force=true']);
    });
  });

  describe('service update', () => {
    it('changes the spec as it is now, with the version read', async () => {
      let request: UpdateServiceRequest | undefined;
      const manager = await fakes.start({
        getService: () => Promise.resolve(serviceView('web', { labels: { a: '1' } }, { version: 77 })),
        updateService: (given) => {
          request = given;
          return change(serviceView('web'));
        },
        watchProgress: CONVERGES,
      });
      const { exitCode, stdout } = await shoal(['service', 'update', 'web', '--label-add', 'b=2', '-q'], { manager });
      assert.deepEqual([exitCode, stdout], [0, 'web\n']);
      assert.equal(request?.version, 77);
      assert.deepEqual(request.spec?.labels, { a: '1', b: '2' });
    });

    it('has the manager ask a registry only about a new image', async () => {
      const asked: boolean[] = [];
      const manager = await fakes.start({
        getService: () => Promise.resolve(serviceView('web')),
        updateService: ({ noResolveImage }) => {
          asked.push(!noResolveImage);
          return change(serviceView('web'));
        },
      });
      for (const flags of [['--force'], ['--image', 'nginx'], ['--image', 'nginx', '--no-resolve-image']]) {
        assert.equal((await shoal(['service', 'update', '-d', ...flags, 'web'], { manager })).exitCode, 0);
      }
      assert.deepEqual(asked, [false, true, false]);
    });

    it('starts over twice where somebody else was quicker, then gives up with 4', async () => {
      let version = 1;
      let conflicts = 2;
      const manager = await fakes.start({
        getService: () => Promise.resolve(serviceView('web', {}, { version: version++ })),
        updateService: (given) =>
          conflicts-- > 0 ? Promise.reject(new ShoalError('conflict', `version ${given.version} is old`)) : change(serviceView('web')),
      });
      assert.equal((await shoal(['service', 'update', '-d', '--force', 'web'], { manager })).exitCode, 0);
      conflicts = 3;
      const { exitCode, stderr } = await shoal(['service', 'update', '-d', '--force', 'web'], { manager });
      assert.deepEqual([exitCode, stderr], [4, 'shoal: version 6 is old\n']);
    });

    it('takes a pause of an earlier update for old news', async () => {
      const update = UpdateStatus.create({ state: UpdateState.UPDATE_PAUSED, message: 'old', startedUnixMs: 5, specNumber: 1 });
      const manager = await fakes.start({
        getService: () =>
          Promise.resolve(
            serviceView('web', {}, { status: ServiceStatus.create({ serviceId: idOf('web'), activeSpecNumber: 1, update }) }),
          ),
        updateService: () => change(serviceView('web', {}, { version: 11, specNumber: 2 })),
        watchProgress: (_request, call) => {
          call.write(progress(0, 1, { update }));
          call.write(progress(1, 1, { converged: true }));
          return Promise.resolve();
        },
      });
      assert.equal((await shoal(['service', 'update', '--force', 'web'], { manager })).exitCode, 0);
    });
  });

  describe('service scale', () => {
    it('changes all services before it waits for any', async () => {
      const manager = await fakes.start({
        getService: ({ ref }) => Promise.resolve(serviceView(ref)),
        updateService: ({ spec }) => change(serviceView(spec?.name ?? '', spec)),
        watchProgress: CONVERGES,
      });
      const { exitCode, stdout } = await shoal(['service', 'scale', 'web=5', 'api=0'], { manager });
      assert.deepEqual([exitCode, stdout], [0, 'web scaled to 5\napi scaled to 0\n']);
      const changes = ['getService', 'updateService'];
      assert.deepEqual(fakes.current?.calls, ['getService', 'getService', ...changes, ...changes, 'watchProgress', 'watchProgress']);
    });

    it('says at once that the update is paused where there is nothing to scale', async () => {
      const update = UpdateStatus.create({ state: UpdateState.UPDATE_PAUSED, message: 'web.1 failed', startedUnixMs: 5, specNumber: 1 });
      const service = serviceView(
        'web',
        { replicas: 3 },
        { status: ServiceStatus.create({ serviceId: idOf('web'), activeSpecNumber: 1, update }) },
      );
      const manager = await fakes.start({
        getService: () => Promise.resolve(service),
        updateService: () => change(service),
        watchProgress: (request, call, context) => {
          call.write(progress(0, 3, { update }));
          return STUCK(request, call, context);
        },
      });
      const { exitCode, stderr } = await shoal(['service', 'scale', 'web=3'], { manager });
      assert.equal(exitCode, 6);
      assert.match(stderr, /web is like that already, and its update is paused: web\.1 failed\..*service update --force web/);
    });

    it('refuses a global service, and scales none of the others', async () => {
      const manager = await fakes.start({
        getService: ({ ref }) => Promise.resolve(serviceView(ref, { mode: ref === 'agent' ? ServiceMode.GLOBAL : ServiceMode.REPLICATED })),
        updateService: ({ spec }) => change(serviceView(spec?.name ?? '', spec)),
      });
      const { exitCode, stdout, stderr } = await shoal(['service', 'scale', '-d', 'agent=2', 'web=3'], { manager });
      assert.equal(stdout, '');
      assert.match(stderr, /agent is not replicated/);
      assert.equal(exitCode, 4);
    });

    it('scales nothing where a name is wrong, and says which ones are', async () => {
      const manager = await fakes.start({
        getService: ({ ref }) =>
          ref.startsWith('gone')
            ? Promise.reject(new ShoalError('not_found', `there is no service ${ref}`))
            : Promise.resolve(serviceView(ref)),
      });
      const { exitCode, stdout, stderr } = await shoal(['service', 'scale', 'web=3', 'gone1=1', 'gone2=1'], { manager });
      assert.deepEqual([exitCode, stdout], [3, '']);
      assert.equal(stderr, 'shoal: nothing was scaled:\n  gone1: there is no service gone1\n  gone2: there is no service gone2\n');
      assert.deepEqual(fakes.current?.calls, ['getService', 'getService', 'getService']);
    });

    it('names wrong numbers and unknown services at once', async () => {
      const manager = await fakes.start({
        getService: ({ ref }) =>
          ref === 'gone' ? Promise.reject(new ShoalError('not_found', 'there is no service gone')) : Promise.resolve(serviceView(ref)),
      });
      const { exitCode, stdout, stderr } = await shoal(['service', 'scale', 'web=4', 'gone=2', 'api=x'], { manager });
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.equal(
        stderr,
        'shoal: cannot scale:\n  api=x: "x" is not a number of replicas from 0 to 100000\n  gone: there is no service gone\n',
      );
    });
  });

  describe('service update', () => {
    const gone = { getService: () => Promise.reject(new ShoalError('not_found', 'there is no service gone')) };

    it('of a service that is not there names wrong flags, too', async () => {
      const manager = await fakes.start(gone);
      const flags = ['--limit-cpu', '-1', '--publish-add', '99999:1', '--restart-delay', 'q', '--timeout', '5', '--log-opt', 'a=b'];
      const { exitCode, stdout, stderr } = await shoal(['service', 'update', ...flags, 'gone'], { manager });
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, /^shoal: the service gone cannot be updated:\n {2}gone: there is no service gone\n/);
      assert.deepEqual([...stderr.matchAll(/^ {2}(--[a-z-]+): /gm)].map(([, flag]) => flag).sort(), [
        '--limit-cpu',
        '--publish-add',
        '--restart-delay',
        '--timeout',
      ]);
    });

    it('of a service that is not there is simply that where the flags may be right', async () => {
      const manager = await fakes.start(gone);
      const { exitCode, stderr } = await shoal(['service', 'update', '--log-opt', 'a=b', 'gone'], { manager });
      assert.deepEqual([exitCode, stderr], [3, 'shoal: there is no service gone\n']);
    });
  });

  describe('service create', () => {
    it('changes nothing where a flag is unknown, and tells what a manager finds of the others', async () => {
      const manager = await fakes.start({
        checkService: () => Promise.resolve(ServiceCheck.create({ problems: [{ path: 'name', message: 'is taken' }] })),
      });
      const { exitCode, stdout, stderr } = await shoal(['service', 'create', '--bogus', '--name', 'web', 'nginx'], { manager });
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, /:\n {2}--bogus: unknown flag\n {2}--name: is taken\n$/);
      assert.deepEqual(fakes.current?.calls, ['checkService']);
    });
  });

  describe('service rm', () => {
    it('attempts each, and exits with the worst code', async () => {
      const manager = await fakes.start({
        removeService: ({ ref }) =>
          ref === 'gone'
            ? Promise.reject(new ShoalError('not_found', 'there is no service gone'))
            : Promise.resolve({ id: idOf(ref), name: ref, revision: 30 }),
      });
      const { exitCode, stdout, stderr } = await shoal(['service', 'rm', 'web', 'gone', 'api'], { manager });
      assert.deepEqual([exitCode, stdout, stderr], [3, 'web\napi\n', 'shoal: there is no service gone\n']);
      assert.deepEqual(fakes.current?.revisions, ['', '30', '30']);
    });
  });
});
