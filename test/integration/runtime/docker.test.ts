// Containers of a real Docker engine in a network namespace of its own: the conformance suite, and what is peculiar to engines.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { engineWatch } from '../../../agent/engine-watch.ts';
import { createDockerRuntime } from '../../../agent/runtime/docker/index.ts';
import { type ImageLedger, openImageLedger } from '../../../agent/runtime/docker/image-ledger.ts';
import { type Runtime, type TaskContext } from '../../../agent/runtime/runtime.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRng } from '../../../lib/rng.ts';
import { type ContainerSpec, Mount, MountType, Resources } from '../../../proto/index.ts';
import { startEngine, TEST_IMAGE, type TestEngine } from '../../support/engine.ts';
import { createHosts, type Host, type Hosts } from '../../support/hosts.ts';
import { requirement } from '../../support/requirements.ts';
import { taskContext } from '../../support/task-context.ts';
import { until } from '../../support/until.ts';
import { conformance, hasCode } from './conformance.ts';

const run = promisify(execFile);

describe('docker runtime', function () {
  this.timeout(60_000);
  let hosts: Hosts | undefined;
  let host: Host;
  let engine: TestEngine | undefined;

  before(async function () {
    requirement(this, 'docker');
    hosts = await createHosts(1);
    host = hosts.list[0] as Host;
    engine = await startEngine({ directory: mkdtempSync(join(tmpdir(), 'shoal-e-')), netns: host.namespace });
  });
  after(async () => {
    await engine?.stop();
    await hosts?.remove();
  });
  const create = (ledger?: ImageLedger): Runtime =>
    createDockerRuntime({
      socketPath: engine?.socketPath ?? '',
      nodeId: 'node1',
      clusterId: 'cluster1',
      clock: systemClock,
      rng: systemRng,
      log: silentLogger,
      ...(ledger === undefined ? {} : { ledger }),
    });
  const httpGet = async (port: number, path: string): Promise<string> => {
    const script = 'require("http").get(process.argv[1], (answer) => answer.pipe(process.stdout))';
    try {
      return (await host.run(process.execPath, ['-e', script, `http://${host.address}:${port}${path}`])).stdout;
    } catch {
      return '';
    }
  };

  conformance(() => ({ create, image: TEST_IMAGE, dataAddress: host.address, httpGet }));

  const signal = new AbortController().signal;
  const docker = (...args: string[]) => run('docker', ['-H', `unix://${engine?.socketPath ?? ''}`, ...args]);
  const sleeper = (container: Partial<ContainerSpec> = {}): TaskContext =>
    taskContext({ container: { image: TEST_IMAGE, command: ['sleep', '1000'], ...container }, dataAddress: host.address });

  it('refuses a container of the same name that is not its own, and leaves it alone', async () => {
    const task = sleeper();
    await docker('create', '--name', `shoal-${task.assignment.taskId}`, TEST_IMAGE, 'true');
    await assert.rejects(create().prepare(task, signal), (error) => {
      hasCode('failed_precondition')(error);
      assert.match(String(error), /docker rm -f/);
      return true;
    });
    await docker('rm', `shoal-${task.assignment.taskId}`);
  });

  it('says in plain words that a task was killed for memory', async () => {
    const runtime = create();
    const task = taskContext({
      container: { image: TEST_IMAGE, command: ['sh', '-c', 'head -c 200000000 /dev/zero | tail >/dev/null; exit $?'] },
      spec: { limits: Resources.create({ memoryBytes: 16 * 1024 * 1024 }) },
    });
    await runtime.prepare(task, signal);
    await runtime.start(task.assignment.taskId, signal);
    const exit = await runtime.wait(task.assignment.taskId, signal);
    assert.equal(exit.exitCode, 137);
    assert.equal(exit.reason, 'killed for memory (limit 16MiB)');
    await runtime.remove(task.assignment.taskId, signal);
  });

  it('says why a command cannot be started', async () => {
    const runtime = create();
    const task = sleeper({ command: ['/no/such/program'] });
    await runtime.prepare(task, signal);
    await assert.rejects(runtime.start(task.assignment.taskId, signal), (error) => {
      hasCode('failed_precondition')(error);
      assert.match(String(error), /no such file or directory/i);
      return true;
    });
    await runtime.remove(task.assignment.taskId, signal);
  });

  it('says that somebody removed the container of a task that is waited for', async () => {
    const runtime = create();
    const task = sleeper();
    await runtime.prepare(task, signal);
    await runtime.start(task.assignment.taskId, signal);
    const waited = runtime.wait(task.assignment.taskId, signal);
    const [settled] = await Promise.all([Promise.allSettled([waited]), docker('rm', '-f', '--volumes', `shoal-${task.assignment.taskId}`)]);
    // Seen as an exit where the runtime looked before the removal, as a missing container otherwise.
    const [outcome] = settled;
    if (outcome.status === 'fulfilled') assert.equal(outcome.value.exitCode, 137);
    else hasCode('not_found')(outcome.reason);
  });

  it('removes the anonymous volumes of a task', async () => {
    const runtime = create();
    const task = sleeper({ mounts: [Mount.create({ type: MountType.VOLUME, target: '/data' })] });
    await runtime.prepare(task, signal);
    assert.notEqual((await docker('volume', 'ls', '-q')).stdout, '');
    await runtime.remove(task.assignment.taskId, signal);
    assert.equal((await docker('volume', 'ls', '-q')).stdout, '');
  });

  it('rejects a bind mount of a folder that does not exist', async () => {
    const task = sleeper({ mounts: [Mount.create({ type: MountType.BIND, source: '/no/such/folder', target: '/data' })] });
    await assert.rejects(create().prepare(task, signal), hasCode('failed_precondition'));
  });

  describe('with a registry', () => {
    let registry: ChildProcess | undefined;
    let folder: string;
    const image = 'localhost:5901/team/app:1';

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'shoal-r-'));
      const config = join(folder, 'config.yml');
      writeFileSync(config, `version: 0.1\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: 127.0.0.1:5901}\n`);
      registry = host.spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
      await docker('tag', TEST_IMAGE, image);
      await until(async () => (await docker('push', '-q', image)).stdout !== '', 'a pushed image');
    });
    after(() => {
      registry?.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      await docker('rmi', '-f', image).catch(() => undefined);
    });

    it('pulls an image that is not there, once for all who want it', async () => {
      const runtime = create();
      const tasks = [sleeper({ image }), sleeper({ image }), sleeper({ image })];
      const prepared = await Promise.all(tasks.map((task) => runtime.prepare(task, signal)));
      assert.deepEqual(
        prepared.map(({ state }) => state),
        ['created', 'created', 'created'],
      );
      for (const task of tasks) await runtime.remove(task.assignment.taskId, signal);
    });

    it('runs the image of the digest, whatever the tag means by now', async () => {
      await docker('pull', '-q', image);
      const [digest = ''] = JSON.parse((await docker('image', 'inspect', '-f', '{{json .RepoDigests}}', image)).stdout) as string[];
      await docker('rmi', '-f', image);
      const runtime = create();
      const task = sleeper({ image, resolvedImage: `${image}@${digest.split('@')[1] ?? ''}` });
      const { containerId } = await runtime.prepare(task, signal);
      assert.match((await docker('inspect', '-f', '{{.Config.Image}}', containerId)).stdout, /@sha256:/);
      await runtime.remove(task.assignment.taskId, signal);
    });

    describe('and unused images', () => {
      const gone = { bytes: 0, ageMs: Infinity };
      const name = 'localhost:5901/team/unused';
      let digest: string;

      before(async () => {
        // An image of its own: one that shares its id with the test image is somebody else's too.
        const { stdout: source } = await docker('create', '--label', 'unused=1', TEST_IMAGE, 'true');
        await docker('commit', '-m', 'unused', source.trim(), `${name}:1`);
        await docker('rm', source.trim());
        await docker('push', '-q', `${name}:1`);
        [digest = ''] = JSON.parse((await docker('image', 'inspect', '-f', '{{json .RepoDigests}}', `${name}:1`)).stdout) as string[];
      });
      beforeEach(async () => {
        for (const each of ['mine:1', `${name}:1`, digest]) await docker('rmi', '-f', each).catch(() => undefined);
      });
      const stands = (reference: string): Promise<boolean> =>
        docker('image', 'inspect', reference).then(
          () => true,
          () => false,
        );
      const withLedger = (): Runtime => create(openImageLedger(join(folder, 'images.json'), silentLogger));
      const pulledBy = async (runtime: Runtime): Promise<TaskContext> => {
        const task = sleeper({ image: `${name}:1`, resolvedImage: digest });
        await runtime.prepare(task, signal);
        return task;
      };

      it('removes one that it pulled, also after a restart, when no container is made from it and it is seen unused again', async () => {
        const task = await pulledBy(withLedger());
        const runtime = withLedger();
        for (let time = 0; time < 3; time++) assert.deepEqual((await runtime.cleanUp?.(gone, signal))?.removed, []);
        await runtime.remove(task.assignment.taskId, signal);
        const first = await runtime.cleanUp?.(gone, signal);
        assert.deepEqual(first?.removed, []);
        assert.ok(first.unusedBytes > 0);
        const second = await runtime.cleanUp?.(gone, signal);
        assert.deepEqual(second, { removed: [digest], freedBytes: first.unusedBytes, unusedBytes: 0 });
        assert.equal(await stands(digest), false);
        assert.equal(await stands(TEST_IMAGE), true);
        const again = await pulledBy(runtime);
        await runtime.remove(again.assignment.taskId, signal);
      });

      it('leaves one that the user has named or pulled', async () => {
        const runtime = withLedger();
        const named = await pulledBy(runtime);
        await runtime.remove(named.assignment.taskId, signal);
        await docker('tag', digest, 'mine:1');
        for (let time = 0; time < 3; time++) assert.deepEqual((await runtime.cleanUp?.(gone, signal))?.removed, []);
        await docker('rmi', '-f', 'mine:1', digest);
        await docker('pull', '-q', `${name}:1`);
        const used = await pulledBy(runtime);
        await runtime.remove(used.assignment.taskId, signal);
        for (let time = 0; time < 3; time++) assert.deepEqual((await runtime.cleanUp?.(gone, signal))?.removed, []);
        assert.equal(await stands(`${name}:1`), true);
      });
    });

    it("keeps the registry's words when there is no such image", async () => {
      const missing = sleeper({ image: 'localhost:5901/team/app:none' });
      await assert.rejects(create().prepare(missing, signal), (error) => {
        hasCode('not_found')(error);
        assert.match(String(error), /localhost:5901\/team\/app:none: .*manifest unknown/);
        return true;
      });
    });

    it('says that no registry answers', async () => {
      await assert.rejects(create().prepare(sleeper({ image: 'localhost:5902/team/app:1' }), signal), (error) => {
        hasCode('failed_precondition')(error);
        assert.match(String(error), /connection refused/);
        return true;
      });
    });

    it('runs an image that was built here where its digest cannot be pulled', async () => {
      const runtime = create();
      const { stdout: source } = await docker('create', TEST_IMAGE, 'true');
      await docker('commit', source.trim(), 'built-here:1');
      await docker('rm', source.trim());
      const task = sleeper({ image: 'built-here:1', resolvedImage: `localhost:5902/app:1@sha256:${'0'.repeat(64)}` });
      assert.equal((await runtime.prepare(task, signal)).state, 'created');
      await runtime.remove(task.assignment.taskId, signal);
    });
  });

  describe('when the engine fails', () => {
    it('goes on waiting through a restart of the engine', async () => {
      const runtime = create();
      const task = sleeper({ stopGracePeriodMs: 1000 });
      await runtime.prepare(task, signal);
      await runtime.start(task.assignment.taskId, signal);
      const waited = runtime.wait(task.assignment.taskId, signal);
      await engine?.kill();
      assert.match((await runtime.check(signal)) ?? '', /does not answer/);
      await assert.rejects(runtime.inspect(task.assignment.taskId, signal), hasCode('unavailable'));
      await engine?.restart();
      assert.equal(await runtime.check(signal), undefined);
      // The engine ends what ran without it, unless it was told to keep containers alive.
      await waited;
      assert.equal((await runtime.inspect(task.assignment.taskId, signal))?.state, 'exited');
      await runtime.remove(task.assignment.taskId, signal);
    });

    it('says that the engine hangs, until it answers again', async () => {
      const watch = engineWatch(create(), systemClock, systemRng, silentLogger, () => undefined);
      await watch.start();
      assert.equal(watch.trouble(), undefined);
      await engine?.freeze();
      try {
        await until(() => watch.trouble() !== undefined, 'trouble', 30_000);
        assert.match(watch.trouble()?.reason ?? '', /took longer than 5 s/);
      } finally {
        engine?.thaw();
      }
      await until(() => watch.trouble() === undefined, 'no more trouble', 20_000);
      watch.stop();
    });

    it('sees an exit that happened while the engine hung', async () => {
      const runtime = create();
      const task = sleeper();
      await runtime.prepare(task, signal);
      const { pid } = await runtime.start(task.assignment.taskId, signal);
      const waited = runtime.wait(task.assignment.taskId, signal);
      await engine?.freeze();
      try {
        assert.match((await runtime.check(signal)) ?? '', /took longer than 5 s/);
        process.kill(pid, 'SIGKILL');
      } finally {
        engine?.thaw();
      }
      assert.equal((await waited).exitCode, 137);
      await runtime.remove(task.assignment.taskId, signal);
    });
  });
});
