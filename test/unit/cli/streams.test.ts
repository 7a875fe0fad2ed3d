import assert from 'node:assert/strict';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { runCli } from '../../../cli/run.ts';
import { type ExecDown, type ExecStart, type ExecUp, LogChunk, OutputChunk, OutputSource, StreamEnd } from '../../../proto/index.ts';
import { type CapturedOptions, type CapturedShell, capturedShell, NOW_UNIX_MS, shoal } from '../../support/captured-shell.ts';
import { idOf } from '../../support/cli-fixtures.ts';
import { type FakeControl, startFakeControl } from '../../support/fake-control.ts';
import { until } from '../../support/until.ts';

let fake: FakeControl | undefined;
afterEach(async () => {
  await fake?.stop();
  fake = undefined;
});

function chunk(taskName: string, text: string, source: OutputSource = OutputSource.STDOUT): LogChunk {
  return LogChunk.create({
    taskId: idOf(taskName),
    taskName,
    nodeId: idOf('host1'),
    nodeHostname: 'host1',
    chunk: OutputChunk.create({ source, data: Buffer.from(text), timeUnixMs: NOW_UNIX_MS }),
  });
}

describe('service logs', () => {
  const CHUNKS = [
    chunk('web.1', 'first\nsecond\n'),
    chunk('web.10', 'grüß\n'),
    chunk('web.1', 'wrong\n', OutputSource.STDERR),
    LogChunk.create({ taskName: 'web.2', error: 'host2 is down' }),
    chunk('web.1', 'last\n'),
  ];
  const logs = async (
    args: readonly string[],
    options: CapturedOptions = {},
  ): Promise<{ stdout: string; stderr: string; exitCode: number; request: unknown }> => {
    let request: unknown;
    fake = await startFakeControl({
      logs: (given, call) => {
        request = given;
        for (const one of CHUNKS) call.write(one);
        return Promise.resolve();
      },
    });
    return { ...(await shoal(['service', 'logs', ...args], { ...options, manager: fake.address })), request };
  };

  it('names the task and node of each line, keeps stderr apart, and goes on where one task cannot be read', async () => {
    const { stdout, stderr, exitCode, request } = await logs(['web']);
    assert.equal(
      stdout,
      `web.1.web100000000@host1    | first
web.1.web100000000@host1    | second
web.10.web100000000@host1    | grüß
web.1.web100000000@host1     | last
`,
    );
    assert.equal(stderr, 'web.1.web100000000@host1     | wrong\nshoal: the logs of web.2 cannot be read: host2 is down\n');
    assert.equal(exitCode, 1);
    assert.deepEqual(request, { refs: ['web'], follow: false, tail: -1, sinceUnixMs: 0 });
  });

  it('leaves ids out, shows times, or nothing but the lines', async () => {
    const plain = await logs(['--no-task-ids', '-t', '-f', '--tail', '5', '--since', '10m', 'web', 'api.2']);
    assert.match(plain.stdout, /^2026-01-02T12:00:00\.000Z web\.1@host1 {4}\| first\n/);
    assert.deepEqual(plain.request, { refs: ['web', 'api.2'], follow: true, tail: 5, sinceUnixMs: NOW_UNIX_MS - 600_000 });
    await fake?.stop();
    assert.equal((await logs(['--raw', 'web'])).stdout, 'first\nsecond\ngrüß\nlast\n');
    await fake?.stop();
    assert.match((await logs(['--no-trunc', '--no-resolve', 'web'])).stdout, /^web\.1\.web1000\S+@host100000000000000000000 /);
  });

  it('gives each task a colour on a terminal', async () => {
    const { stdout } = await logs(['web'], { terminal: true });
    assert.match(stdout.replaceAll('\x1b', 'ESC'), /^ESC\[\d+mweb\.1\.web100000000@host1 {4}\|ESC\[39m first\n/);
  });
});

describe('exec', () => {
  interface ExecRun {
    readonly captured: CapturedShell;
    readonly done: Promise<number>;
    readonly frames: ExecUp[];
    call(): ServerDuplexStream<ExecUp, ExecDown | Uint8Array>;
  }
  const exec = async (args: readonly string[], options: CapturedOptions = {}): Promise<ExecRun> => {
    const frames: ExecUp[] = [];
    let open: ServerDuplexStream<ExecUp, ExecDown | Uint8Array> | undefined;
    fake = await startFakeControl({
      exec: (call) => {
        open = call;
        call.on('data', (frame: ExecUp) => frames.push(frame));
        call.on('error', () => undefined);
      },
    });
    const captured = capturedShell(options);
    const done = runCli(['--host', fake.address, 'exec', ...args], captured.shell, []);
    await until(() => frames.length > 0, 'the first frame came');
    return {
      captured,
      done,
      frames,
      call: () => {
        assert.ok(open);
        return open;
      },
    };
  };
  const output = (text: string, source: OutputSource = OutputSource.STDOUT): ExecDown => ({
    frame: { case: 'output', value: OutputChunk.create({ source, data: Buffer.from(text) }) },
  });
  const end = (fields: Partial<StreamEnd>): ExecDown => ({ frame: { case: 'end', value: StreamEnd.create(fields) } });
  const startOf = ({ frames }: ExecRun): ExecStart | undefined => (frames[0]?.frame?.case === 'start' ? frames[0].frame.value : undefined);

  it('passes the command on as it is, its output apart, and exits with its code', async () => {
    const run = await exec(['-e', 'A=1', '-u', 'root', '-w', '/srv', 'web.3', 'ls', '-l', '--help', '-e', 'x']);
    run.call().write(output('out\n'));
    run.call().write(output('err\n', OutputSource.STDERR));
    run.call().write(end({ exitCode: 42 }));
    run.call().end();
    assert.equal(await run.done, 42);
    assert.deepEqual([run.captured.stdout(), run.captured.stderr()], ['out\n', 'err\n']);
    assert.deepEqual(startOf(run), {
      ref: 'web.3',
      exec: {
        taskId: '',
        command: ['ls', '-l', '--help', '-e', 'x'],
        tty: false,
        stdin: false,
        env: ['A=1'],
        user: 'root',
        workdir: '/srv',
        rows: 0,
        columns: 0,
      },
    });
  });

  it('takes a -- before the command for what it is', async () => {
    const run = await exec(['web.3', '--', 'ls', '--', '-l']);
    assert.deepEqual(startOf(run)?.exec?.command, ['ls', '--', '-l']);
    run.call().write(end({ exitCode: 0 }));
    assert.equal(await run.done, 0);
  });

  it('passes input and its end on with -i', async () => {
    const run = await exec(['-i', 'web.3', 'cat']);
    run.captured.input.write('hello');
    await until(() => run.frames.length > 1, 'the input came');
    run.captured.input.end();
    await until(() => run.frames.at(-1)?.frame?.case === 'inputEnd', 'the end came');
    const input = run.frames.flatMap(({ frame }) => (frame?.case === 'input' ? [Buffer.from(frame.value).toString()] : []));
    assert.deepEqual(input, ['hello']);
    run.call().write(end({ exitCode: 0 }));
    assert.equal(await run.done, 0);
  });

  it('is raw and follows the size of the window with -it, and leaves the terminal as it was', async () => {
    const run = await exec(['-it', 'web.3', 'sh'], { terminal: true, columns: 100 });
    const start = startOf(run);
    assert.deepEqual([start?.exec?.tty, start?.exec?.stdin, start?.exec?.rows, start?.exec?.columns], [true, true, 24, 100]);
    run.captured.resize();
    await until(() => run.frames.some(({ frame }) => frame?.case === 'resize'), 'the size came');
    run.call().write(end({ exitCode: 0 }));
    assert.equal(await run.done, 0);
    assert.deepEqual(run.captured.rawModes, [true, false]);
  });

  it('says what the node says went wrong, with its exit code', async () => {
    const run = await exec(['web.3', 'sh']);
    run.call().write(end({ error: 'the task web.3 has ended', errorCode: 'failed_precondition' }));
    assert.equal(await run.done, 1);
    assert.equal(run.captured.stderr(), 'shoal: the task web.3 has ended\n');
  });

  it('says that the command may go on where the connection ends first', async () => {
    const run = await exec(['web.3', 'sh']);
    run.call().end();
    assert.equal(await run.done, 5);
    assert.match(run.captured.stderr(), /ended before the command did/);
  });

  it('ends on Ctrl-C with 130', async () => {
    const run = await exec(['web.3', 'sleep', '100']);
    run.captured.interrupt();
    assert.equal(await run.done, 130);
    assert.equal(run.captured.stderr(), '');
  });

  it('refuses -it without a terminal', async () => {
    const { exitCode, stderr } = await shoal(['exec', '-it', 'web.3', 'sh']);
    assert.match(stderr, /standard input is not a terminal/);
    assert.equal(exitCode, 1);
  });
});
