// What a newcomer does first: a whole cluster on this machine, with plain processes, and its end.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../cli/dev/ports.ts';
import { isAlive, processId, type ProcessId } from '../../lib/process-id.ts';
import { SHOAL } from '../support/cluster.ts';
import { isOnPath } from '../support/requirements.ts';
import { until } from '../support/until.ts';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

type NamedProcess = ProcessId & { readonly name: string };

function shoal(cwd: string, ...args: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SHOAL, ...args], { cwd, timeout: 90_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}

for (const store of ['embedded', 'etcd'] as const) {
  describe(`shoal dev with plain processes and the ${store} store`, () => {
    let folder = '';
    let up: string[];

    before(async function () {
      if (store === 'etcd' && !isOnPath('etcd')) this.skip();
      folder = mkdtempSync(join(tmpdir(), 'shoal-dev-'));
      const ports = ['--manager-port', String(await freePort('127.0.0.1')), '--port', String(await freePort('127.0.0.1'))];
      up = ['dev', 'up', '--demo', '--detach', '--runtime', 'process', '--store', store, ...ports];
    });

    afterEach(async () => {
      if (folder !== '') await shoal(folder, 'dev', 'down');
    });

    after(() => {
      if (folder !== '') rmSync(folder, { recursive: true, force: true });
    });

    const started = async (): Promise<Result> => {
      const result = await shoal(folder, ...up);
      assert.equal(result.code, 0, result.stderr);
      return result;
    };
    const processes = (): readonly NamedProcess[] =>
      (JSON.parse(readFileSync(join(folder, '.shoal/dev/cluster.json'), 'utf8')) as { readonly processes: readonly NamedProcess[] })
        .processes;

    it('shows the demo answering on every node, and leaves nothing behind', async () => {
      const started = await shoal(folder, ...up);
      assert.equal(started.code, 0, started.stderr);
      for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.3'])
        assert.match(started.stdout, new RegExp(`http://${address}:\\d+/.*demo\\.\\d`));
      const scaled = await shoal(folder, 'service', 'scale', 'demo=5', '--verify', '0s', '--timeout', '30s');
      assert.equal(scaled.code, 0, scaled.stderr);
      const running = processes();
      const stopped = await shoal(folder, 'dev', 'down');
      assert.equal(stopped.code, 0, stopped.stderr);
      assert.deepEqual(running.filter(isAlive), []);
      assert.equal(existsSync(join(folder, '.shoal/dev')), false);
    });

    it('refuses to start twice, and says what to do', async () => {
      await started();
      const again = await shoal(folder, ...up);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /dev down/);
    });

    it('says which part is dead, what to do about it, and exits with 1', async () => {
      await started();
      assert.equal((await shoal(folder, 'dev', 'status')).code, 0);
      const [last] = processes().slice(-1);
      assert.ok(last);
      process.kill(last.pid, 'SIGKILL');
      await until(() => !isAlive(last), 'the end of the killed process');
      const { code, stdout, stderr } = await shoal(folder, 'dev', 'status');
      assert.equal(code, 1);
      assert.match(stdout, /^manager +running .*$/m);
      assert.match(stderr, /node-3 \(see .*node-3\.log\) has ended\. `npx shoal dev restart` starts it again, .*dev down/);
    });

    it('starts parts again that were killed, on what they left, and leaves the others and the tasks alone', async () => {
      await started();
      const before = processes();
      const tasks = await shoal(folder, 'service', 'ps', '-q', '--no-trunc', 'demo');
      const killed = before.filter(({ name }) => name === 'manager' || name === 'node-2');
      for (const { pid } of killed) process.kill(pid, 'SIGKILL');
      await until(() => !killed.some(isAlive), 'the end of the killed processes');

      const again = await shoal(folder, ...up);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /manager .*, node-2 .* have ended\. `npx shoal dev restart` starts them again/);
      const restarted = await shoal(folder, 'dev', 'restart');
      assert.equal(restarted.code, 0, restarted.stderr);
      assert.match(restarted.stdout, /^manager restarted \(pid \d+\)\nnode-2 restarted \(pid \d+\)\n$/);

      assert.equal((await shoal(folder, 'dev', 'status')).code, 0);
      const untouched = (all: readonly NamedProcess[]) => all.filter(({ name }) => name !== 'manager' && name !== 'node-2');
      assert.deepEqual(untouched(processes()), untouched(before));
      assert.deepEqual(await shoal(folder, 'service', 'ps', '-q', '--no-trunc', 'demo'), tasks);
      assert.match((await shoal(folder, 'dev', 'restart')).stdout, /nothing to restart/);
      assert.equal((await shoal(folder, 'service', 'scale', 'demo=4', '--verify', '0s', '--timeout', '30s')).code, 0);
    });

    it('restarts a part that runs where it is named', async () => {
      await started();
      const before = processes();
      const { code, stdout, stderr } = await shoal(folder, 'dev', 'restart', 'node-1');
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^node-1 restarted/);
      const changed = processes().filter(({ pid }, index) => pid !== before[index]?.pid);
      assert.deepEqual(
        changed.map(({ name }) => name),
        ['node-1'],
      );
    });

    it('stops everything in order when its terminal goes away', async () => {
      const attached = spawn(process.execPath, [SHOAL, ...up.filter((flag) => flag !== '--detach')], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [attached.stdout, attached.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
      const exited = once(attached, 'exit');
      await until(() => said.includes('Ctrl-C stops everything'), 'the cluster runs');
      const running = processes();
      for (const stream of [attached.stdout, attached.stderr]) stream.destroy();
      // From the terminal, and from npm's script.
      for (let times = 0; times < 2; times++) attached.kill('SIGHUP');
      await exited;
      assert.deepEqual(running.filter(isAlive), []);
      assert.equal(existsSync(join(folder, '.shoal/dev')), false);
    });

    it('does not take a service for converged whose tasks crash one after the other', async () => {
      await started();
      const crash = ['--restart-delay', '300ms', 'process', 'sh', '-c', 'sleep 0.3; exit 1'];
      const { code, stderr } = await shoal(folder, 'service', 'create', '--name', 'crash', '--timeout', '6s', ...crash);
      assert.equal(code, 6, stderr);
      assert.match(stderr, /1\/1: .*its last task failed: exit code 1/);
      assert.doesNotMatch(stderr, /service crash converged/);
    });

    it('kills everything at the second Ctrl-C, also what does not stop', async () => {
      const attached = spawn(process.execPath, [SHOAL, ...up.filter((flag) => flag !== '--detach')], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [attached.stdout, attached.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
      const exited = once(attached, 'exit');
      await until(() => said.includes('Ctrl-C stops everything'), 'the cluster runs');
      const stubborn = ['process', '/bin/sh', '-c', `trap '' TERM; echo $$ >${join(folder, 'pid')}; while :; do sleep 0.1; done`];
      const created = await shoal(
        folder,
        'service',
        'create',
        '--name',
        'stubborn',
        '--verify',
        '0s',
        '--stop-grace-period',
        '1h',
        ...stubborn,
      );
      assert.equal(created.code, 0, created.stderr);
      const running = [...processes(), processId(Number(readFileSync(join(folder, 'pid'), 'utf8')))];
      attached.kill('SIGINT');
      await until(() => said.includes('Ctrl-C again kills it'), 'the cluster stops');
      attached.kill('SIGINT');
      await exited;
      assert.match(said, /killing everything at once/);
      assert.deepEqual(running.filter(isAlive), []);
      assert.equal(existsSync(join(folder, '.shoal/dev')), false);
    });

    it('ends also what does not stop, hangs or had lost its agent, before it forgets it', async () => {
      await started();
      const pidFile = join(folder, 'long');
      // A grace period longer than the end of a cluster waits.
      const stubborn = [
        '--stop-grace-period',
        '60s',
        'process',
        'sh',
        '-c',
        `trap '' TERM; echo $$ >>${pidFile}; while :; do sleep 0.1; done`,
      ];
      const created = await shoal(folder, 'service', 'create', '--name', 's', '--replicas', '3', '--verify', '0s', ...stubborn);
      assert.equal(created.code, 0, created.stderr);
      const tasks = readFileSync(pidFile, 'utf8').trim().split('\n');
      const meshes = ['node-1', 'node-2', 'node-3'].map(
        (name) => JSON.parse(readFileSync(join(folder, '.shoal/dev', name, 'mesh/process.json'), 'utf8')) as ProcessId,
      );
      const running = [...processes(), ...meshes, ...tasks.map((pid) => processId(Number(pid)))];
      const agent = (name: string) => processes().find((each) => each.name === name) ?? assert.fail(name);
      process.kill(agent('node-1').pid, 'SIGSTOP');
      process.kill(agent('node-2').pid, 'SIGKILL');
      await until(() => !isAlive(agent('node-2')), 'the end of the killed agent');
      const { code, stderr } = await shoal(folder, 'dev', 'down');
      assert.equal(code, 0, stderr);
      assert.match(stderr, /stopping what node-2 left running.*\n.*node-1, .*not stopped in 20 s, killing what runs there/);
      assert.deepEqual(running.filter(isAlive), []);
      assert.equal(existsSync(join(folder, '.shoal/dev')), false);
    });

    it('ends also where the file that names it is damaged, and a killed agent is not found by its command line', async () => {
      await started();
      const running = [
        ...processes(),
        ...['node-1', 'node-2', 'node-3'].map(
          (name) => JSON.parse(readFileSync(join(folder, '.shoal/dev', name, 'mesh/process.json'), 'utf8')) as ProcessId,
        ),
      ];
      process.kill(processes().at(-1)?.pid ?? 0, 'SIGKILL');
      writeFileSync(join(folder, '.shoal/dev/cluster.json'), '');
      const again = await shoal(folder, ...up);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /cluster\.json is damaged; of it runs: .*node-1 \(pid \d+\).*dev down/);
      const { code, stderr } = await shoal(folder, 'dev', 'down');
      assert.equal(code, 0, stderr);
      assert.deepEqual(running.filter(isAlive), []);
      assert.equal(existsSync(join(folder, '.shoal/dev')), false);
    });

    it('ends at once with --kill', async () => {
      await started();
      const running = processes();
      process.kill(running.at(-1)?.pid ?? 0, 'SIGKILL');
      const { code, stderr } = await shoal(folder, 'dev', 'down', '--kill');
      assert.equal(code, 0, stderr);
      assert.deepEqual(running.filter(isAlive), []);
    });

    it('clears what a killed cluster left, tasks included', async () => {
      await started();
      const first = processes();
      for (const { pid } of first) process.kill(pid, 'SIGKILL');
      await until(() => !first.some(isAlive), 'the end of the killed processes');
      const again = await shoal(folder, ...up);
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stderr, /earlier run/);
    });
  });
}
