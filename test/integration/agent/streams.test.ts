// Logs and exec between an agent and a manager, over real gRPC.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Agent } from '../../../agent/agent-options.ts';
import type { LogLine } from '../../../agent/runtime/runtime.ts';
import { ExecRequest, LogsRequest, OutputSource, type StreamEnd, TaskState } from '../../../proto/index.ts';
import { fakeManager, type FakeManager, type FakeTaskStream } from '../../support/fake-manager.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { assignmentOf, epochOf, type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';

const line = (text: string): LogLine => ({ source: OutputSource.STDOUT, data: Buffer.from(`${text}\n`), timeUnixMs: 5 });

describe('agent streams', () => {
  let manager: FakeManager;
  let runtime: ScriptedRuntime;
  let agent: TestAgent;
  let running: Agent;
  let nextStream = 0;

  beforeEach(async () => {
    manager = await fakeManager();
    runtime = scriptedRuntime();
    agent = testAgent();
    running = await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length > 0, 'a session');
    manager.last().send({ case: 'assignments', value: { epoch: epochOf(1), assignments: [assignmentOf('t1')] } });
    await until(() => manager.last().statuses.get('t1')?.state === TaskState.RUNNING, 't1 running');
  });
  afterEach(async () => {
    await agent.remove();
    await manager.stop();
  });

  const ask = async (
    request: { case: 'logs'; value: LogsRequest } | { case: 'exec'; value: ExecRequest } | undefined,
  ): Promise<FakeTaskStream> => {
    const streamId = `s${++nextStream}`;
    manager.last().send({ case: 'openStream', value: { streamId, request } });
    let stream: FakeTaskStream | undefined;
    await until(() => (stream = manager.streams.find((each) => each.streamId === streamId)) !== undefined, 'the stream attached');
    assert.ok(stream !== undefined);
    assert.equal(stream.nodeId, 'node1');
    return stream;
  };
  const logs = (fields: Partial<LogsRequest> = {}): Promise<FakeTaskStream> =>
    ask({ case: 'logs', value: LogsRequest.create({ taskId: 't1', stdout: true, stderr: true, tail: -1, ...fields }) });
  const exec = (fields: Partial<ExecRequest> = {}): Promise<FakeTaskStream> =>
    ask({ case: 'exec', value: ExecRequest.create({ taskId: 't1', command: ['sh'], ...fields }) });
  const ending = async (stream: FakeTaskStream): Promise<StreamEnd> => {
    await until(() => stream.frames.at(-1)?.case === 'end', 'the end frame');
    const last = stream.frames.at(-1);
    assert.ok(last?.case === 'end');
    return last.value;
  };
  const output = (stream: FakeTaskStream): string =>
    stream.frames.map((frame) => (frame.case === 'output' ? Buffer.from(frame.value.data).toString() : '')).join('');

  it('send the lines of a log and then the end', async () => {
    runtime.logLines = [line('one'), line('two')];
    const stream = await logs();
    assert.deepEqual(await ending(stream), { exitCode: undefined, error: '', errorCode: '' });
    assert.equal(output(stream), 'one\ntwo\n');
  });

  it('hold a log back when the manager does not read, and go on after', async () => {
    const count = 3000;
    let produced = 0;
    const big = 'x'.repeat(4000);
    Object.defineProperty(runtime, 'logLines', {
      get: () =>
        (function* lines(): Generator<LogLine> {
          for (; produced < count; produced++) yield line(big);
        })(),
    });
    const stream = await logs();
    stream.pause();
    await until(() => produced > 0, 'it began');
    let before = -1;
    await until(() => {
      const still = produced === before;
      before = produced;
      return still;
    }, 'no more lines are read');
    assert.ok(produced < count, `${produced} lines were read for a manager that reads nothing`);
    stream.resume();
    await ending(stream);
    assert.equal(output(stream).length, count * (big.length + 1));
  });

  it('end a log that is followed when the manager closes it', async () => {
    const stream = await logs({ follow: true });
    assert.equal(running.streamCount(), 1);
    stream.cancel();
    await until(() => running.streamCount() === 0, 'the stream closed');
  });

  it('run a command: output, input, its end, and the exit code after all output', async () => {
    const stream = await exec({ tty: true, rows: 24, columns: 80 });
    await until(() => runtime.execs.length === 1, 'the command runs');
    const [run] = runtime.execs;
    assert.ok(run !== undefined);
    assert.deepEqual([run.options.command, run.options.rows], [['sh'], 24]);
    stream.send({ case: 'input', value: Buffer.from('hello') });
    const [typed] = (await once(run.stdin, 'data')) as [Buffer];
    assert.equal(typed.toString(), 'hello');
    stream.send({ case: 'resize', value: { rows: 50, columns: 100 } });
    await until(() => run.sizes.includes('50x100'), 'the new size');
    const finished = once(run.stdin, 'end');
    stream.send({ case: 'inputEnd', value: {} });
    await finished;
    run.stdout.write('out');
    run.stderr.write('err');
    run.end(7);
    assert.equal((await ending(stream)).exitCode, 7);
    assert.match(output(stream), /out/);
    assert.ok(stream.frames.some((frame) => frame.case === 'output' && frame.value.source === OutputSource.STDERR));
  });

  it('kill the command when the manager closes the stream', async () => {
    const stream = await exec();
    await until(() => runtime.execs.length === 1, 'the command runs');
    stream.cancel();
    await until(() => runtime.execs[0]?.killed === true, 'the command killed');
  });

  it('take no more input than the command reads', async () => {
    const stream = await exec();
    await until(() => runtime.execs.length === 1, 'the command runs');
    const [run] = runtime.execs;
    assert.ok(run !== undefined);
    const chunk = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 100; i++) stream.send({ case: 'input', value: chunk });
    await until(() => run.stdin.readableLength > 0, 'input came');
    assert.ok(run.stdin.readableLength + run.stdin.writableLength < 2 ** 20, 'input waits outside');
    let read = 0;
    run.stdin.on('data', (bytes: Buffer) => (read += bytes.length));
    await until(() => read === 100 * chunk.length, 'all input comes');
    run.end(0);
    await ending(stream);
  });

  it('say why they cannot be served', async () => {
    const unknown = await logs({ taskId: 'other' });
    assert.equal((await ending(unknown)).errorCode, 'not_found');
    const strange = await ask(undefined);
    assert.equal((await ending(strange)).errorCode, 'unimplemented');
  });
});
