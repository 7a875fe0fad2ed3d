// What every runtime must do, whatever stands behind it. Called by one test file per runtime.
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type Runtime, type TaskContext } from '../../../agent/runtime/runtime.ts';
import { systemClock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { systemIds } from '../../../lib/ids.ts';
import { type ContainerSpec, HealthCheck, LogsRequest, OutputSource } from '../../../proto/index.ts';
import { taskContext } from '../../support/task-context.ts';
import { until } from '../../support/until.ts';

export interface Subject {
  /** A new Runtime object on the same host: what a restarted agent makes. */
  create(): Runtime;
  readonly image: string;
  readonly dataAddress: string;
  /** Answers what an HTTP server on this port of the data address says, and '' where none answers. */
  httpGet(port: number, path: string): Promise<string>;
}

const SLEEPER = 'trap "exit 3" TERM; echo up; while :; do sleep 0.05; done';
const never = new AbortController().signal;
// Every call of this suite listens to it.
setMaxListeners(0, never);

export function conformance(subject: () => Subject): void {
  let runtime: Runtime;
  const made: string[] = [];
  before(() => {
    runtime = subject().create();
  });
  afterEach(async () => {
    for (const taskId of made.splice(0)) await runtime.remove(taskId, never);
  });

  const shell = (script: string, more: Partial<ContainerSpec> = {}, ports: TaskContext['ports'] = []): TaskContext => {
    const task = taskContext({
      container: { image: subject().image, command: ['/bin/sh', '-c', script], stopGracePeriodMs: 5000, ...more },
      dataAddress: subject().dataAddress,
      ports,
    });
    made.push(task.assignment.taskId);
    return task;
  };
  const run = async (task: TaskContext): Promise<string> => {
    await runtime.prepare(task, never);
    await runtime.start(task.assignment.taskId, never);
    return task.assignment.taskId;
  };
  const lines = async (taskId: string, request: Partial<LogsRequest> = {}): Promise<string[]> => {
    const all: string[] = [];
    for await (const line of runtime.logs(LogsRequest.create({ taskId, tail: -1, ...request }), never)) {
      all.push(`${line.source === OutputSource.STDERR ? 'err' : 'out'}:${Buffer.from(line.data).toString()}`);
    }
    return all;
  };
  /** Resolves when the task has written `word`. */
  const said = (taskId: string, word: string): Promise<void> =>
    until(async () => (await lines(taskId)).some((line) => line.includes(word)), `"${word}" from task ${taskId}`);

  it('takes a task from prepare over its exit to removal', async () => {
    const task = shell('exit 7');
    const { taskId } = task.assignment;
    const prepared = await runtime.prepare(task, never);
    assert.equal(prepared.state, 'created');
    await runtime.start(taskId, never);
    assert.equal((await runtime.wait(taskId, never)).exitCode, 7);
    const listed = (await runtime.list(never)).filter((instance) => instance.taskId === taskId);
    assert.deepEqual(
      listed.map(({ state, exit }) => ({ state, code: exit?.exitCode })),
      [{ state: 'exited', code: 7 }],
    );
    await runtime.remove(taskId, never);
    assert.equal(await runtime.inspect(taskId, never), undefined);
    await runtime.remove(taskId, never);
  });

  it('prepares and starts repeatedly without a second instance', async () => {
    const task = shell(SLEEPER);
    const { taskId } = task.assignment;
    const first = await runtime.prepare(task, never);
    const again = await runtime.prepare(task, never);
    const started = await runtime.start(taskId, never);
    const restarted = await runtime.start(taskId, never);
    assert.equal(restarted.pid, started.pid);
    assert.ok(started.pid > 0);
    const adopted = await runtime.prepare(task, never);
    assert.equal(adopted.state, 'running');
    assert.equal(adopted.containerId, started.containerId);
    assert.equal(again.containerId, first.containerId);
    assert.equal((await runtime.list(never)).filter((instance) => instance.taskId === taskId).length, 1);
  });

  it('is taken over running by a new agent, which sees its exit', async () => {
    const ports = [{ protocol: 'tcp', targetPort: 80, nodePort: 23_111, host: false } as const];
    const taskId = await run(shell(SLEEPER, {}, ports));
    await said(taskId, 'up');
    const started = await runtime.inspect(taskId, never);
    const later = subject().create();
    const found = (await later.list(never)).find((instance) => instance.taskId === taskId);
    assert.equal(found?.state, 'running');
    assert.deepEqual(found.ports, ports);
    assert.equal((await later.inspect(taskId, never))?.pid, started?.pid);
    const waited = later.wait(taskId, never);
    const stopped = await later.stop(taskId, never);
    assert.equal(stopped.exitCode, 3);
    assert.equal((await waited).exitCode, 3);
  });

  it('has the exit code for an agent that comes after the end', async () => {
    const taskId = await run(shell('exit 9'));
    const later = subject().create();
    assert.equal((await later.wait(taskId, never)).exitCode, 9);
    assert.equal((await later.stop(taskId, never)).exitCode, 9);
  });

  it('lists only what belongs to its node and cluster', async () => {
    const task = shell('exit 0');
    await runtime.prepare({ ...task, nodeId: 'another' }, never);
    assert.deepEqual(
      (await runtime.list(never)).filter((instance) => instance.taskId === task.assignment.taskId),
      [],
    );
  });

  it('gives a task its grace period and its own exit code', async () => {
    const taskId = await run(shell('trap "sleep 0.3; exit 4" TERM; echo up; while :; do sleep 0.05; done'));
    await said(taskId, 'up');
    assert.equal((await runtime.stop(taskId, never)).exitCode, 4);
  });

  it('kills a task that ignores its stop signal when the grace period is over', async () => {
    const taskId = await run(shell('trap "" TERM; echo up; while :; do sleep 0.05; done', { stopGracePeriodMs: 1000 }));
    await said(taskId, 'up');
    assert.equal((await runtime.stop(taskId, never)).exitCode, 137);
  });

  it('sends the stop signal that the spec names', async () => {
    const taskId = await run(
      shell('trap "exit 5" INT; trap "exit 6" TERM; echo up; while :; do sleep 0.05; done', { stopSignal: 'SIGINT' }),
    );
    await said(taskId, 'up');
    assert.equal((await runtime.stop(taskId, never)).exitCode, 5);
  });

  it('counts a task that was never started as stopped', async () => {
    const task = shell('exit 1');
    await runtime.prepare(task, never);
    assert.deepEqual(await runtime.stop(task.assignment.taskId, never), { exitCode: 0, reason: 'it was never started' });
  });

  it('reports a task that was killed with -9', async () => {
    const taskId = await run(shell(SLEEPER));
    const waited = runtime.wait(taskId, never);
    const pid = (await runtime.inspect(taskId, never))?.pid ?? 0;
    assert.ok(pid > 1);
    process.kill(pid, 'SIGKILL');
    assert.equal((await waited).exitCode, 137);
  });

  it('takes the children of a task with it', async () => {
    const taskId = await run(
      shell('(trap "" TERM HUP; echo child; exec sleep 1000) & trap "exit 0" TERM; echo up; while :; do sleep 0.05; done'),
    );
    await said(taskId, 'up');
    await said(taskId, 'child');
    const pid = (await runtime.inspect(taskId, never))?.pid ?? 0;
    const children = await childrenOf(pid);
    assert.ok(children.length > 0);
    await runtime.stop(taskId, never);
    await until(async () => (await Promise.all(children.map(isGone))).every(Boolean), 'the end of the children');
  });

  it('stops waiting when the caller does', async () => {
    const taskId = await run(shell(SLEEPER));
    const controller = new AbortController();
    const waited = runtime.wait(taskId, controller.signal);
    controller.abort();
    await assert.rejects(waited, hasCode('cancelled'));
  });

  it('says not_found of what is not there', async () => {
    const missing = taskContext().assignment.taskId;
    assert.equal(await runtime.inspect(missing, never), undefined);
    await assert.rejects(runtime.start(missing, never), hasCode('not_found'));
    await assert.rejects(runtime.stop(missing, never), hasCode('not_found'));
    await assert.rejects(runtime.wait(missing, never), hasCode('not_found'));
    await assert.rejects(lines(missing), hasCode('not_found'));
  });

  it('keeps the two outputs apart and cuts them into lines', async () => {
    const taskId = await run(shell('echo one; echo two >&2; printf "a\\nb"; sleep 0.1; printf "c"'));
    await runtime.wait(taskId, never);
    const all = await lines(taskId);
    assert.deepEqual(
      all.filter((line) => line.startsWith('out')),
      ['out:one\n', 'out:a\n', 'out:bc\n'],
    );
    assert.deepEqual(
      all.filter((line) => line.startsWith('err')),
      ['err:two\n'],
    );
    assert.deepEqual(await lines(taskId, { stdout: false, stderr: true }), ['err:two\n']);
    assert.deepEqual(await lines(taskId, { stdout: true, tail: 1 }), ['out:bc\n']);
    assert.deepEqual(await lines(taskId, { tail: 0 }), []);
    const nowMs = systemClock.wallMs();
    assert.deepEqual(await lines(taskId, { sinceUnixMs: nowMs + 3_600_000 }), []);
    assert.deepEqual(await lines(taskId, { sinceUnixMs: nowMs - 3_600_000 }), await lines(taskId));
    for await (const { timeUnixMs } of runtime.logs(LogsRequest.create({ taskId, tail: -1 }), never)) {
      assert.ok(timeUnixMs > nowMs - 3_600_000 && timeUnixMs <= nowMs, `the time of the line is ${timeUnixMs}`);
    }
  });

  it('joins a line that is longer than the buffers on its way', async () => {
    const taskId = await run(shell('head -c 100000 /dev/zero | tr "\\0" x; echo; echo end'));
    await runtime.wait(taskId, never);
    assert.deepEqual(
      (await lines(taskId)).map((line) => line.length),
      ['out:'.length + 100_001, 'out:end\n'.length],
    );
  });

  it('follows the output until the task ends', async () => {
    const taskId = await run(shell('trap "echo bye; exit 0" TERM; echo first; while :; do sleep 0.05; done'));
    const seen: string[] = [];
    const following = (async () => {
      for await (const line of runtime.logs(LogsRequest.create({ taskId, tail: -1, follow: true, stdout: true }), never)) {
        seen.push(Buffer.from(line.data).toString());
      }
    })();
    await until(() => seen.includes('first\n'), 'the first line');
    await runtime.stop(taskId, never);
    await following;
    assert.deepEqual(seen, ['first\n', 'bye\n']);
  });

  it('ends following when the caller goes away', async () => {
    const taskId = await run(shell(SLEEPER));
    const controller = new AbortController();
    const following = (async () => {
      for await (const _line of runtime.logs(LogsRequest.create({ taskId, tail: -1, follow: true }), controller.signal)) controller.abort();
    })();
    await following;
  });

  const exec = { tty: false, stdin: false, env: [], user: '', workdir: '', rows: 0, columns: 0 };

  it('executes beside a task, with its input, both outputs and exit code', async () => {
    const taskId = await run(shell(SLEEPER, { env: ['COLOUR=blue'] }));
    const command = ['/bin/sh', '-c', 'read line; echo "$line $COLOUR $SHAPE"; echo oops >&2; exit 12'];
    const session = await runtime.exec(taskId, { ...exec, command, stdin: true, env: ['SHAPE=round'] }, never);
    const outputs = Promise.all([text(session.stdout), text(session.stderr)]);
    session.stdin.end('hello\n');
    assert.equal(await session.ended, 12);
    assert.deepEqual(await outputs, ['hello blue round\n', 'oops\n']);
  });

  it('passes the end of the input on', async () => {
    const taskId = await run(shell(SLEEPER));
    const session = await runtime.exec(taskId, { ...exec, command: ['cat'], stdin: true }, never);
    const output = text(session.stdout);
    const sent = 'x'.repeat(500_000);
    session.stdin.end(sent);
    assert.equal((await output).length, sent.length);
    assert.equal(await session.ended, 0);
  });

  it('tells a command on a terminal which kind of terminal it is', async () => {
    const taskId = await run(shell(SLEEPER));
    const command = ['/bin/sh', '-c', 'echo "is $TERM"'];
    const session = await runtime.exec(taskId, { ...exec, command, tty: true, rows: 30, columns: 100 }, never);
    assert.match(await text(session.stdout), /is xterm/);
  });

  it('executes on a terminal of the size asked for, and resizes it', async () => {
    const taskId = await run(shell(SLEEPER));
    const command = ['/bin/sh', '-c', 'while read line; do stty size 2>/dev/null; done; exit 6'];
    const session = await runtime.exec(taskId, { ...exec, command, tty: true, stdin: true, rows: 30, columns: 100 }, never);
    let output = '';
    session.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const asked = async (size: string): Promise<boolean> => {
      session.stdin.write('\n');
      return Promise.resolve(output.includes(`${size}\r\n`));
    };
    await until(
      () => asked('30 100'),
      () => `the first size, got ${JSON.stringify(output)}`,
    );
    await session.resize(41, 77);
    await until(
      () => asked('41 77'),
      () => `the second size, got ${JSON.stringify(output)}`,
    );
    session.stdin.write('\x04');
    assert.equal(await session.ended, 6);
  });

  it('says when a program to execute does not exist', async () => {
    const taskId = await run(shell(SLEEPER));
    const session = await runtime.exec(taskId, { ...exec, command: ['no-such-program'] }, never);
    session.stdout.resume();
    session.stderr.resume();
    assert.equal(await session.ended, 127);
  });

  it('says when what is to be executed is no program', async () => {
    const taskId = await run(shell(SLEEPER));
    const session = await runtime.exec(taskId, { ...exec, command: ['/dev/null'] }, never);
    session.stdout.resume();
    session.stderr.resume();
    assert.equal(await session.ended, 126);
  });

  it('tells health as it changes', async () => {
    const file = `/tmp/shoal-healthy-${systemIds.next()}`;
    const check = HealthCheck.create({ test: ['CMD-SHELL', `test -e ${file}`], intervalMs: 100, timeoutMs: 5000, retries: 2 });
    const mark = async (command: string[]): Promise<void> => {
      const session = await runtime.exec(taskId, { ...exec, command }, never);
      session.stdout.resume();
      session.stderr.resume();
      await session.ended;
    };
    const taskId = await run(shell(SLEEPER, { healthCheck: { ...check, startPeriodMs: 60_000 } }));
    const told: string[] = [];
    const controller = new AbortController();
    runtime.watchHealth(taskId, (health) => told.push(health), controller.signal);
    await until(() => told.includes('starting'), 'starting');
    await mark(['touch', file]);
    await until(() => told.includes('healthy'), 'healthy');
    const later: string[] = [];
    subject()
      .create()
      .watchHealth(taskId, (health) => later.push(health), controller.signal);
    await until(() => later.length > 0, 'health for a new agent');
    assert.equal(later[0], 'healthy');
    await mark(['rm', '-f', file]);
    await until(() => told.includes('unhealthy') && later.includes('unhealthy'), 'unhealthy');
    controller.abort();
    assert.deepEqual([...new Set(told)], ['starting', 'healthy', 'unhealthy']);
  });

  it('tells what a failing check says while the task starts', async () => {
    const test = ['CMD-SHELL', 'echo not yet; exit 3'];
    const check = HealthCheck.create({ test, intervalMs: 100, timeoutMs: 5000, startPeriodMs: 60_000 });
    const taskId = await run(shell(SLEEPER, { healthCheck: check }));
    const controller = new AbortController();
    const told: string[] = [];
    runtime.watchHealth(taskId, (health, detail) => told.push(`${health}: ${detail}`), controller.signal);
    await until(
      () => told.includes('starting: exit code 3: not yet'),
      () => told.join(', '),
    );
    controller.abort();
  });

  it('tells none for a task without a health check', async () => {
    const taskId = await run(shell(SLEEPER));
    const told: string[] = [];
    runtime.watchHealth(taskId, (health) => told.push(health), never);
    await until(() => told.length > 0, 'health');
    assert.deepEqual(told, ['none']);
  });

  it('serves the leased port', async () => {
    const port = 20_000;
    const ports = [{ protocol: 'tcp', targetPort: 80, nodePort: port, host: false } as const];
    const script = 'mkdir -p www; echo hello >www/index.html; exec busybox httpd -vv -f -h www -p "${HOST:+$HOST:}${PORT:-80}"';
    const taskId = await run(shell(script, { dir: subject().image === 'process' ? '' : '/tmp', stopGracePeriodMs: 500 }, ports));
    await until(async () => (await subject().httpGet(port, '/index.html')) === 'hello\n', 'an answer on the leased port');
    await runtime.stop(taskId, never);
    assert.equal(await subject().httpGet(port, '/index.html'), '');
  });

  it('describes its host', async () => {
    assert.equal(await runtime.check(never), undefined);
    const { engine, resources } = await runtime.describe(never);
    assert.equal(engine.runtime, runtime.name);
    assert.notEqual(engine.version, '');
    assert.ok(resources.nanoCpus >= 1e9 && resources.memoryBytes > 1e8);
  });

  it('runs a dozen tasks at once', async () => {
    const tasks = Array.from({ length: 12 }, (_, index) => shell(`sleep 0.2; exit ${index}`));
    const codes = await Promise.all(tasks.map(async (task) => (await runtime.wait(await run(task), never)).exitCode));
    assert.deepEqual(
      codes,
      tasks.map((_, index) => index),
    );
  });
}

export function hasCode(code: ShoalError['code']): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ShoalError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += chunk.toString();
  return all;
}

async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return list.trim().split(' ').filter(Boolean).map(Number);
}

async function isGone(pid: number): Promise<boolean> {
  try {
    return (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z ');
  } catch {
    return true;
  }
}
