// Plain processes: the conformance suite, and what is peculiar to them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { appendFile, readFile, utimes, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProcessRuntime } from '../../../agent/runtime/process/index.ts';
import { keepOutput, outputLines } from '../../../agent/runtime/process/output-files.ts';
import { type Instance, type Runtime } from '../../../agent/runtime/runtime.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { isAlive, processId } from '../../../lib/process-id.ts';
import { type ContainerSpec, LogsRequest } from '../../../proto/index.ts';
import { ownLoopback } from '../../support/sockets.ts';
import { taskContext } from '../../support/task-context.ts';
import { until } from '../../support/until.ts';
import { conformance, hasCode } from './conformance.ts';

describe('process runtime', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'shoal-process-'));
  });
  after(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const create = (): Runtime =>
    createProcessRuntime({
      directory,
      dataAddress: '127.0.0.1',
      nodeId: 'node1',
      clusterId: 'cluster1',
      clock: systemClock,
      log: silentLogger,
    });

  conformance(() => ({ create, image: 'process', dataAddress: ownLoopback(), httpGet }));

  const signal = new AbortController().signal;
  const made: string[] = [];
  afterEach(async () => {
    for (const taskId of made.splice(0)) await create().remove(taskId, signal);
  });
  const start = async (runtime: Runtime, script: string): Promise<{ readonly taskId: string; readonly instance: Instance }> => {
    const task = taskContext({ container: { image: 'process', command: ['/bin/sh', '-c', script], stopGracePeriodMs: 5000 } });
    const { taskId } = task.assignment;
    made.push(taskId);
    await runtime.prepare(task, signal);
    return { taskId, instance: await runtime.start(taskId, signal) };
  };

  it('keeps a task, its output and its exit code over the kill -9 of the agent that started it', async () => {
    const task = taskContext({ container: { image: 'process', command: ['/bin/sh', '-c', 'echo up; sleep 1000; exit 8'] } });
    const { taskId } = task.assignment;
    made.push(taskId);
    const agent = spawn(
      process.execPath,
      ['--import', 'tsx', join(import.meta.dirname, 'starting-agent.ts'), directory, JSON.stringify(task)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await once(agent.stdout, 'data');
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    const runtime = create();
    const [found] = (await runtime.list(signal)).filter((instance) => instance.taskId === taskId);
    assert.equal(found?.state, 'running');
    const waited = runtime.wait(taskId, signal);
    // The sleep inside ends, and with it the script by its own code.
    const children = (await readFile(`/proc/${found.pid}/task/${found.pid}/children`, 'utf8')).trim().split(' ').map(Number);
    for (const child of children) process.kill(child, 'SIGKILL');
    assert.equal((await waited).exitCode, 8);
  });

  it('ends waiting when both the task and its supervisor were killed, and says that the code is lost', async () => {
    const runtime = create();
    const { taskId, instance } = await start(runtime, 'sleep 1000');
    const waited = runtime.wait(taskId, signal);
    process.kill(Number(instance.containerId), 'SIGKILL');
    process.kill(instance.pid, 'SIGKILL');
    const exit = await waited;
    assert.equal(exit.exitCode, 255);
    assert.match(exit.reason, /exit code is unknown/);
  });

  it('goes on with a task whose supervisor was killed', async () => {
    const runtime = create();
    const { taskId, instance } = await start(runtime, 'sleep 1000');
    process.kill(Number(instance.containerId), 'SIGKILL');
    assert.equal((await runtime.inspect(taskId, signal))?.state, 'running');
    await runtime.stop(taskId, signal);
    assert.equal((await runtime.inspect(taskId, signal))?.state, 'exited');
  });

  it('does not take another process with a recycled pid for the task', async () => {
    const runtime = create();
    const { taskId, instance } = await start(runtime, 'sleep 1000');
    const killed = [processId(Number(instance.containerId)), processId(instance.pid)];
    process.kill(Number(instance.containerId), 'SIGKILL');
    process.kill(-instance.pid, 'SIGKILL');
    await until(() => !killed.some(isAlive), 'the end of supervisor and task');
    const file = join(directory, taskId, 'pid');
    const [, , boot = ''] = (await readFile(file, 'utf8')).trim().split(' ');
    // The pid of this very process, with the start time of the one that is gone.
    await writeFile(file, `${process.pid} 1 ${boot}\n`);
    assert.equal((await runtime.inspect(taskId, signal))?.state, 'exited');
    assert.equal((await runtime.stop(taskId, signal)).exitCode, 255);
  });

  it('starts a task once when two agents try at the same time', async () => {
    const task = taskContext({ container: { image: 'process', command: ['/bin/sh', '-c', 'echo run; sleep 1000'] } });
    const { taskId } = task.assignment;
    made.push(taskId);
    const runtimes = [create(), create(), create()];
    for (const runtime of runtimes) await runtime.prepare(task, signal);
    const pids = (await Promise.all(runtimes.map((runtime) => runtime.start(taskId, signal)))).map(({ pid }) => pid);
    assert.equal(new Set(pids).size, 1);
  });

  it('gives a task its ports, its environment and a clean rest', async () => {
    const runtime = create();
    const task = taskContext({
      container: { image: 'process', command: ['env'], env: ['COLOUR=blue with "quotes" and $HOME', 'shoal__dir=mine'] },
      ports: [{ protocol: 'tcp', targetPort: 80, nodePort: 23_111, host: false }],
    });
    made.push(task.assignment.taskId);
    process.env['SHOAL_TEST_LEAK'] = 'yes';
    await runtime.prepare(task, signal);
    await runtime.start(task.assignment.taskId, signal);
    await runtime.wait(task.assignment.taskId, signal);
    Reflect.deleteProperty(process.env, 'SHOAL_TEST_LEAK');
    let output = '';
    for await (const line of runtime.logs(LogsRequest.create({ taskId: task.assignment.taskId, tail: -1 }), signal)) {
      output += Buffer.from(line.data).toString();
    }
    for (const line of ['HOST=127.0.0.1', 'PORT=23111', 'PORT_80=23111', 'COLOUR=blue with "quotes" and $HOME']) {
      assert.ok(output.split('\n').includes(line), `${line} in ${output}`);
    }
    assert.doesNotMatch(output, /SHOAL_TEST_LEAK/);
  });

  it('refuses a program or a folder that this host does not have', async () => {
    const refused = (container: Partial<ContainerSpec>) =>
      assert.rejects(
        create().prepare(taskContext({ container: { image: 'process', ...container } }), signal),
        hasCode('failed_precondition'),
      );
    await refused({ command: ['no-such-program'] });
    await refused({ command: ['/no/such/program'] });
    await refused({ command: ['true'], dir: '/no/such/folder' });
    await refused({ image: 'nginx:1', command: ['true'] });
  });

  it('dates lines by when they were written, over the bounds of the output too, and begins at a time', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-output-'));
    try {
      const file = join(folder, 'stdout');
      const write = async (text: string, atUnixMs: number, maxBytes?: number): Promise<void> => {
        await appendFile(file, text);
        await utimes(file, atUnixMs / 1000, atUnixMs / 1000);
        await keepOutput(folder, maxBytes);
      };
      const seen = async (request: Partial<LogsRequest>): Promise<string[]> => {
        const lines: string[] = [];
        const all = outputLines(
          folder,
          LogsRequest.create({ tail: -1, ...request }),
          () => Promise.resolve(false),
          () => Promise.resolve(),
        );
        for await (const { data, timeUnixMs } of all) lines.push(`${timeUnixMs} ${Buffer.from(data).toString().trimEnd()}`);
        return lines;
      };
      await write('one\n', 1000);
      await write('two\nthr', 2000);
      await write('ee\n', 3000, 10);
      await write('four\n', 4000);
      await appendFile(file, 'five\n');
      await utimes(file, 5, 5);
      assert.deepEqual(await seen({}), ['1000 one', '2000 two', '3000 three', '4000 four', '5000 five']);
      assert.deepEqual(await seen({ sinceUnixMs: 2500 }), ['3000 three', '4000 four', '5000 five']);
      assert.deepEqual(await seen({ sinceUnixMs: 3500 }), ['4000 four', '5000 five']);
      assert.deepEqual(await seen({ sinceUnixMs: 4500 }), ['5000 five']);
      assert.deepEqual(await seen({ sinceUnixMs: 6000 }), []);
      assert.deepEqual(await seen({ sinceUnixMs: 1500, tail: 2 }), ['4000 four', '5000 five']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('dates what a task writes as it writes it', async () => {
    const runtime = create();
    const { taskId } = await start(runtime, 'echo one; until test -e go; do sleep 0.02; done; echo two');
    const waited = runtime.wait(taskId, signal);
    await until(() => existsSync(join(directory, taskId, 'output', 'stdout.times')), 'the first line is dated');
    const betweenMs = systemClock.wallMs();
    await until(() => systemClock.wallMs() > betweenMs + 20, 'some time has passed');
    await writeFile(join(directory, taskId, 'work', 'go'), '');
    await waited;
    const times: number[] = [];
    for await (const line of runtime.logs(LogsRequest.create({ taskId, tail: -1 }), signal)) times.push(line.timeUnixMs);
    assert.deepEqual(
      times.map((timeMs) => timeMs > betweenMs),
      [false, true],
    );
  });

  it('keeps no more of a burst of output than the bounds, with no more than one line torn', async () => {
    const runtime = create();
    const { taskId } = await start(runtime, 'yes 0123456789abcdef | head -c 30000000');
    await runtime.wait(taskId, signal);
    // What is seen for the first time is left to whoever may be at work on it.
    for (let time = 0; time < 2; time++) await runtime.cleanUp?.({ bytes: Infinity, ageMs: Infinity }, signal);
    const output = join(directory, taskId, 'output');
    const sizes = readdirSync(output).map((name) => statSync(join(output, name)).blocks * 512);
    const keptBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
    assert.ok(keptBytes < 21 * 2 ** 20, String(keptBytes));
    const read = async (tail: number): Promise<readonly string[]> => {
      const lines: string[] = [];
      for await (const { data } of runtime.logs(LogsRequest.create({ taskId, tail }), signal)) lines.push(Buffer.from(data).toString());
      return lines;
    };
    const all = await read(-1);
    assert.ok(all.length > 500_000, String(all.length));
    // Where something was written between the copying and the emptying, it is lost, and its two ends are one line.
    const torn = all.slice(0, -1).filter((line) => line !== '0123456789abcdef\n');
    assert.ok(torn.length <= 1, `${torn.length} torn lines, ${JSON.stringify(torn[0])}`);
    assert.equal((await read(1e9)).length, all.length);
    await runtime.remove(taskId, signal);
  });

  it('removes what is left of a task folder without a record, when it was so the last time already', async () => {
    const runtime = create();
    const { taskId } = await start(runtime, 'true');
    await runtime.wait(taskId, signal);
    const left = join(directory, 'a'.repeat(25));
    mkdirSync(join(left, 'output'), { recursive: true });
    const limits = { bytes: Infinity, ageMs: Infinity };
    assert.deepEqual((await runtime.cleanUp?.(limits, signal))?.removed, []);
    assert.deepEqual((await runtime.cleanUp?.(limits, signal))?.removed, [left]);
    assert.equal(existsSync(left), false);
    assert.equal((await runtime.inspect(taskId, signal))?.state, 'exited');
    await runtime.remove(taskId, signal);
  });

  it('keeps output within its bounds, and a follower loses nothing of what is kept', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-output-'));
    try {
      const file = join(folder, 'stdout');
      await writeFile(file, 'one\ntwo\n');
      const seen: string[] = [];
      let step = 0;
      const request = LogsRequest.create({ tail: -1, follow: true });
      const pause = async (): Promise<void> => {
        step++;
        if (step !== 1) return;
        await appendFile(file, 'three\n');
        await keepOutput(folder, 10);
        await appendFile(file, 'four\n');
      };
      for await (const { data } of outputLines(folder, request, () => Promise.resolve(step < 3), pause))
        seen.push(Buffer.from(data).toString());
      assert.deepEqual(seen, ['one\n', 'two\n', 'three\n', 'four\n']);
      assert.equal(await readFile(file, 'utf8'), 'four\n');
      const tail: string[] = [];
      const last = LogsRequest.create({ tail: 2 });
      for await (const { data } of outputLines(folder, last, () => Promise.resolve(false), pause)) tail.push(Buffer.from(data).toString());
      assert.deepEqual(tail, ['three\n', 'four\n']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

function httpGet(port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host: ownLoopback(), port, path, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(body));
    });
    request.on('error', () => resolve(''));
  });
}
