import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopCluster } from '../../../../cli/dev/down.ts';
import { type DevLayout, type DevProcess, findLayout, layoutIn, requireCluster, writeCluster } from '../../../../cli/dev/layout.ts';
import { runningProcesses } from '../../../../cli/dev/running.ts';
import { startCluster } from '../../../../cli/dev/up.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { isAlive, processId, type ProcessId } from '../../../../lib/process-id.ts';
import { capturedShell } from '../../../support/captured-shell.ts';
import { fastClock } from '../../../support/fast-clock.ts';
import { until } from '../../../support/until.ts';

const GONE: ProcessId = { pid: 0, startTime: '' };
const NEVER = new AbortController().signal;

describe('the end of a development cluster', () => {
  let root: string;
  let layout: DevLayout;
  let started: ProcessId[];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'shoal-down-'));
    layout = layoutIn(root);
    started = [];
  });
  afterEach(() => {
    for (const id of started) if (isAlive(id)) process.kill(id.pid, 'SIGKILL');
    rmSync(root, { recursive: true });
  });

  const shell = (...args: readonly string[]): ProcessId => {
    const id = processId(spawn('/bin/sh', ['-c', ...args], { stdio: 'ignore' }).pid ?? 0);
    started.push(id);
    return id;
  };
  const stubborn = async (...args: readonly string[]): Promise<ProcessId> => {
    const ready = join(root, `ready-${started.length}`);
    const id = shell(`trap '' TERM; : >${ready}; while :; do sleep 0.05; done`, 'stubborn', ...args);
    await until(() => existsSync(ready), 'the process ignores SIGTERM');
    return id;
  };
  const purged = (): string => (existsSync(join(root, 'purged')) ? readFileSync(join(root, 'purged'), 'utf8') : '');
  /** An agent that when it purges notes its flags, and then runs `script`. */
  const agent = (name: string, id: ProcessId, script: string): DevProcess => {
    const note = `echo "${name} $*" >>${join(root, 'purged')}; ${script}`;
    return { ...id, name, role: 'agent', logFile: join(layout.logs, `${name}.log`), command: '/bin/sh', args: ['-c', note, 'agent'] };
  };
  const leave = (...processes: readonly DevProcess[]): void => {
    writeCluster(layout, { managers: [], store: 'embedded', runtime: 'process', dockerSocket: '', nodes: [], processes });
  };
  const stop = async (hurry = NEVER): Promise<{ readonly stopped: number | undefined; readonly said: string }> => {
    const captured = capturedShell({ clock: fastClock(100) });
    const stopped = await stopCluster(layout, captured.shell, hurry);
    return { stopped, said: captured.stderr() };
  };
  const failed = async (): Promise<string> => {
    try {
      await stop();
    } catch (error) {
      assert.ok(error instanceof ShoalError);
      assert.equal(error.code, 'unavailable');
      return error.message;
    }
    return assert.fail('it stops');
  };

  it('is not before what an agent left that had to be killed is killed, too', async () => {
    const [stuck, good] = [await stubborn(), shell('sleep 60')];
    leave(agent('node-1', stuck, ':'), agent('node-2', good, ':'));
    const { stopped, said } = await stop();
    assert.equal(stopped, 2);
    assert.match(said, /node-1: not stopped in 20 s, killing what runs there/);
    assert.equal(purged(), 'node-1 --purge --kill\n');
    assert.deepEqual(started.filter(isAlive), []);
    assert.ok(!existsSync(layout.folder));
  });

  it('gives what a dead agent left its time, and no more', async () => {
    leave(agent('node-1', GONE, 'case $* in *--kill) ;; *) exec sleep 60 ;; esac'), agent('node-2', GONE, ':'));
    const { said } = await stop();
    assert.match(said, /stopping what node-1, node-2 left running\.\.\.\n.*node-1: not stopped in 20 s/);
    assert.deepEqual(purged().trim().split('\n').sort(), ['node-1 --purge', 'node-1 --purge --kill', 'node-2 --purge']);
    assert.ok(!existsSync(layout.folder));
  });

  it('comes at once in a hurry: a purge under way is over before the one that kills begins', async () => {
    const hurry = new AbortController();
    const lock = join(root, 'lock');
    // As the agent does, which lives on after SIGTERM while it ends its tasks.
    leave(
      agent(
        'node-1',
        GONE,
        `trap '' TERM; mkdir ${lock} || kill -0 $(cat ${lock}/pid) && exit 1; echo $$ >${lock}/pid; case $* in *--kill) ;; *) while :; do sleep 0.05; done ;; esac`,
      ),
    );
    const stopping = stopCluster(layout, capturedShell().shell, hurry.signal);
    await until(() => existsSync(join(lock, 'pid')), 'the purge is under way');
    hurry.abort();
    assert.equal(await stopping, 0);
    assert.equal(purged(), 'node-1 --purge\nnode-1 --purge --kill\n');
  });

  it('asks nobody nicely where there was a hurry from the start', async () => {
    leave(agent('node-1', GONE, ':'));
    const { said } = await stop(AbortSignal.abort());
    assert.equal(purged(), 'node-1 --purge --kill\n');
    assert.doesNotMatch(said, /not stopped in/);
  });

  it('that cannot be is told with its reason and the way out, and forgets nothing', async () => {
    leave(agent('node-1', GONE, `echo '{"level":"info","count":1}'; echo 'shoal: no engine answers' >&2; exit 5`));
    const said = await failed();
    assert.match(
      said,
      /^what node-1 left running could not be stopped: no engine answers \(see .*node-1\.log\)\n.*`npx shoal dev down` again/,
    );
    assert.doesNotMatch(said, /count|--purge/);
    assert.ok(existsSync(layout.clusterFile));
    leave(agent('node-1', GONE, ':'));
    assert.equal((await stop()).stopped, 0);
  });

  for (const [what, spoil] of [
    ['damaged', () => writeFileSync(layout.clusterFile, '{"managers": [')],
    ['of another shape', () => writeFileSync(layout.clusterFile, '{}')],
    ['gone', () => rmSync(layout.clusterFile)],
  ] as const) {
    it(`finds what runs also where the file that names it is ${what}; until then nothing else starts`, async () => {
      const [etcd, manager, agent] = [layout.etcd, layout.manager, layout.node('node-1')].map((folder) =>
        shell('while :; do sleep 0.05; done', 'part', '--data-dir', folder),
      );
      const mesh = await stubborn('mesh', '--data-dir', join(layout.node('node-1'), 'mesh'));
      assert.ok(etcd && manager && agent);
      leave();
      await until(() => runningProcesses(layout).length === 4, 'all run');
      spoil();
      const captured = capturedShell();
      const options = { store: 'embedded', runtime: 'process', nodes: 1, managerPort: 1, publishedPorts: [] } as const;
      const named = new RegExp(
        `etcd \\(pid ${etcd.pid}\\), manager \\(pid ${manager.pid}\\), node-1 \\(pid ${agent.pid}\\), mesh of node-1 .*\`npx shoal dev down\` stops`,
      );
      await assert.rejects(startCluster(layout, options, captured.shell, NEVER), named);
      assert.throws(() => requireCluster(findLayout(join(root, 'src'))), named);
      assert.equal((await stop()).stopped, 4);
      assert.deepEqual([etcd, manager, agent, mesh].filter(isAlive), []);
      assert.ok(!existsSync(layout.folder));
      assert.equal((await stop()).stopped, undefined);
    });
  }

  it('clears the folder where a damaged file is all that is left', async () => {
    leave();
    writeFileSync(layout.clusterFile, '');
    assert.throws(() => requireCluster(layout), /is damaged; nothing of it runs\. `npx shoal dev down`/);
    assert.equal((await stop()).stopped, 0);
    assert.ok(!existsSync(layout.folder));
  });

  it('ends meshes that no file names, and does not forget tasks that go on', async () => {
    const mesh = await stubborn('mesh', '--data-dir', join(layout.node('node-1'), 'mesh'), '--node-id', 'n1');
    const other = await stubborn('mesh', '--data-dir', `${layout.node('node-1')}/../../../dev2/node-1/mesh`, '--node-id', 'n1');
    const task = await stubborn('shoal-supervisor', join(layout.node('node-2'), 'tasks', 't1'));
    leave();
    assert.deepEqual(
      runningProcesses(layout).map(({ pid, role, name }) => ({ pid, role, name })),
      [
        { pid: mesh.pid, role: 'mesh', name: 'node-1' },
        { pid: task.pid, role: 'task', name: 'node-2' },
      ],
    );
    assert.match(await failed(), new RegExp(`^still running: task of node-2 \\(pid ${task.pid}\\)\n`));
    assert.deepEqual(started.filter(isAlive), [other, task]);
    assert.ok(existsSync(layout.clusterFile));
  });
});
