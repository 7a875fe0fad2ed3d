// What a newcomer does first: a whole cluster on this machine, with plain processes, and its end.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../cli/dev/ports.ts';
import { isAlive, type ProcessId } from '../../lib/process-id.ts';
import { SHOAL } from '../support/cluster.ts';
import { isOnPath } from '../support/requirements.ts';
import { until } from '../support/until.ts';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

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
    const processes = (): readonly ProcessId[] =>
      (JSON.parse(readFileSync(join(folder, '.shoal/dev/cluster.json'), 'utf8')) as { readonly processes: readonly ProcessId[] }).processes;

    it('shows the demo answering on every node, and leaves nothing behind', async () => {
      const started = await shoal(folder, ...up);
      assert.equal(started.code, 0, started.stderr);
      for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.3'])
        assert.match(started.stdout, new RegExp(`http://${address}:\\d+/.*demo\\.\\d`));
      const scaled = await shoal(folder, 'service', 'scale', 'demo=5', '--timeout', '30s');
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
