// What the engine sends, read: streams, references, events, states.
import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { type ContainerInspectInfo } from 'dockerode';
import { engineError, jsonLines } from '../../../agent/runtime/docker/client.ts';
import { commandExitCode } from '../../../agent/runtime/docker/exec.ts';
import { splitReference } from '../../../agent/runtime/docker/image.ts';
import { exitOf, healthOf, instanceOf } from '../../../agent/runtime/docker/instance.ts';
import { formatPorts, parsePorts } from '../../../agent/runtime/docker/labels.ts';
import { multiplexedLines, splitTime, ttyLines } from '../../../agent/runtime/docker/log-lines.ts';
import { demultiplex, frames } from '../../../agent/runtime/docker/multiplex.ts';
import { readEvent } from '../../../agent/runtime/docker/observer.ts';
import { lineCutter } from '../../../agent/runtime/lines.ts';
import { type LogLine } from '../../../agent/runtime/runtime.ts';

const TIME = '2026-01-02T03:04:05.678901234Z';
const TIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function frame(source: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = source;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

/** The same bytes in chunks of every size from one on. */
function* cut(bytes: Buffer): Generator<Readable> {
  for (const size of [1, 3, 7, 64, bytes.length]) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    yield Readable.from(chunks, { objectMode: false });
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const shown = (lines: readonly LogLine[]) =>
  lines.map(({ source, data, timeUnixMs }) => [source, Buffer.from(data).toString(), timeUnixMs]);

describe('multiplexed streams', () => {
  it('are cut into frames however the bytes come', async () => {
    const bytes = Buffer.concat([frame(1, 'hello'), frame(2, ''), frame(2, 'oops'), frame(0, 'x')]);
    for (const stream of cut(bytes)) {
      const read = (await all(frames(stream))).map(({ source, payload }) => [source, payload.toString()]);
      assert.deepEqual(read, [
        [0, 'hello'],
        [1, 'oops'],
        [0, 'x'],
      ]);
    }
  });

  it('refuse what is no frame', async () => {
    await assert.rejects(all(frames(Readable.from([Buffer.alloc(64, 0x41)], { objectMode: false }))), /not a multiplexed stream/);
  });

  it('wait for a reader that is slow', async () => {
    const stdout = new PassThrough({ highWaterMark: 1 });
    const stderr = new PassThrough();
    const done = demultiplex(Readable.from([frame(1, 'one'), frame(1, 'two')], { objectMode: false }), stdout, stderr);
    assert.equal((await all(stdout as AsyncIterable<Buffer>)).join(''), 'onetwo');
    await done;
  });
});

describe('log lines', () => {
  it('have their time and source', async () => {
    const bytes = Buffer.concat([frame(1, `${TIME} one\n`), frame(2, `${TIME} two\n`)]);
    for (const stream of cut(bytes)) {
      assert.deepEqual(shown(await all(multiplexedLines(stream))), [
        [0, 'one\n', TIME_MS],
        [1, 'two\n', TIME_MS],
      ]);
    }
  });

  it('are joined where the engine split them, each part with a time of its own', async () => {
    const bytes = Buffer.concat([
      frame(1, `${TIME} one`),
      frame(2, `${TIME} err\n`),
      frame(1, `2026-01-02T03:04:06Z  more\n`),
      frame(1, `${TIME} end`),
    ]);
    const [stream] = cut(bytes);
    assert.ok(stream);
    assert.deepEqual(shown(await all(multiplexedLines(stream))), [
      [1, 'err\n', TIME_MS],
      [0, 'one more\n', TIME_MS],
      [0, 'end\n', TIME_MS],
    ]);
  });

  it('keep a time that the task itself has written', async () => {
    const [stream] = cut(frame(1, `${TIME} 2020-01-01T00:00:00Z mine\n`));
    assert.ok(stream);
    assert.deepEqual(shown(await all(multiplexedLines(stream))), [[0, '2020-01-01T00:00:00Z mine\n', TIME_MS]]);
  });

  it('of a terminal have no frames', async () => {
    for (const stream of cut(Buffer.from(`${TIME} one\r\n${TIME} two`))) {
      assert.deepEqual(shown(await all(ttyLines(stream))), [
        [0, 'one\r\n', TIME_MS],
        [0, 'two\n', TIME_MS],
      ]);
    }
  });

  it('without a time stay whole', () => {
    const bytes = Buffer.from('hello world');
    assert.deepEqual(splitTime(bytes), { timeUnixMs: 0, rest: bytes });
  });
});

describe('line cutter', () => {
  it('holds back what is not complete and breaks what is too long', () => {
    const cutter = lineCutter(4);
    assert.deepEqual(cutter.push(Buffer.from('ab')).map(String), []);
    assert.deepEqual(cutter.push(Buffer.from('c\nd')).map(String), ['abc\n']);
    assert.ok(cutter.pending);
    assert.deepEqual(cutter.push(Buffer.from('efghijkl')).map(String), ['defg\n', 'hijk\n']);
    assert.equal(String(cutter.end()), 'l\n');
    assert.equal(cutter.end(), undefined);
  });
});

describe('JSON lines', () => {
  it('are read over chunk borders, and what is no JSON is passed over', async () => {
    const text = '{"a":1}\n\nnonsense\n{"b":"é"}';
    for (const stream of cut(Buffer.from(text))) assert.deepEqual(await all(jsonLines(stream)), [{ a: 1 }, { b: 'é' }]);
  });
});

describe('image references', () => {
  it('are split into what the pull call wants', () => {
    const split = (reference: string): string[] => Object.values(splitReference(reference));
    assert.deepEqual(split('nginx'), ['nginx', 'latest']);
    assert.deepEqual(split('nginx:1.25'), ['nginx', '1.25']);
    assert.deepEqual(split('localhost:5000/team/app'), ['localhost:5000/team/app', 'latest']);
    assert.deepEqual(split('localhost:5000/team/app:2'), ['localhost:5000/team/app', '2']);
    assert.deepEqual(split('localhost:5000/app:2@sha256:abc'), ['localhost:5000/app', 'sha256:abc']);
    assert.deepEqual(split('app@sha256:abc'), ['app', 'sha256:abc']);
  });
});

describe('port labels', () => {
  it('come back as they were', () => {
    const ports = [
      { protocol: 'tcp', targetPort: 80, nodePort: 20_000, host: false },
      { protocol: 'udp', targetPort: 53, nodePort: 53, host: true },
    ] as const;
    assert.deepEqual(parsePorts(formatPorts(ports)), ports);
    assert.deepEqual(parsePorts(''), []);
    assert.deepEqual(parsePorts('sctp/1/2,tcp/x/1'), []);
  });
});

describe('engine events', () => {
  const event = (Action: string): unknown => ({ Type: 'container', Action, Actor: { ID: 'c', Attributes: { 'shoal.task.id': 't1' } } });
  it('become hints, in the words of Docker and of Podman', () => {
    assert.deepEqual(readEvent(event('die')), { taskId: 't1', hint: 'ended' });
    assert.deepEqual(readEvent(event('died')), { taskId: 't1', hint: 'ended' });
    assert.deepEqual(readEvent(event('destroy')), { taskId: 't1', hint: 'ended' });
    assert.deepEqual(readEvent(event('health_status: healthy')), { taskId: 't1', hint: 'health' });
    assert.equal(readEvent(event('exec_start')), undefined);
    assert.equal(readEvent({ Action: 'die', Actor: { Attributes: null } }), undefined);
  });
});

function container(state: Partial<ContainerInspectInfo['State']>, memoryBytes = 0): ContainerInspectInfo {
  return {
    Id: 'c1',
    State: { Status: 'exited', OOMKilled: false, Pid: 0, ExitCode: 0, Error: '', ...state },
    Config: { Labels: { 'shoal.task.id': 't1', 'shoal.ports': 'tcp/80/20000' } },
    HostConfig: { Memory: memoryBytes },
    NetworkSettings: { Networks: { none: { IPAddress: '' }, bridge: { IPAddress: '172.17.0.2' } } },
  } as unknown as ContainerInspectInfo;
}

describe('exit codes of what is executed', () => {
  it('are those of a shell where the engine could not run it', () => {
    const refusal = 'OCI runtime exec failed: exec failed: unable to start container process: exec:';
    const missing = `${refusal} "x": executable file not found in $PATH: unknown\r\n`;
    assert.equal(commandExitCode(126, missing), 127);
    assert.equal(commandExitCode(126, `${refusal} "/etc": permission denied: unknown\r\n`), 126);
    assert.equal(commandExitCode(126, 'my own: no such file or directory'), 126);
    assert.equal(commandExitCode(3, missing), 3);
  });
});

describe('container states', () => {
  it('say what stands on the host', () => {
    const running = instanceOf(container({ Status: 'running', Pid: 42 }), true);
    assert.deepEqual(
      [running.state, running.pid, running.address, running.exit, running.ports.length],
      ['running', 42, '172.17.0.2', undefined, 1],
    );
    assert.equal(instanceOf(container({ Status: 'running' }), false).address, undefined);
    assert.equal(instanceOf(container({ Status: 'created' }), true).state, 'created');
    assert.equal(instanceOf(container({ Status: 'paused' }), true).state, 'running');
    assert.deepEqual(instanceOf(container({ ExitCode: 3 }), true).exit, { exitCode: 3, reason: '' });
  });

  it('say in words that memory was the reason', () => {
    assert.deepEqual(exitOf(container({ ExitCode: 137, OOMKilled: true }, 64 * 1024 * 1024)), {
      exitCode: 137,
      reason: 'killed for memory (limit 64MiB)',
    });
    // A child was killed, and the task got over it.
    assert.equal(exitOf(container({ ExitCode: 0, OOMKilled: true })).reason, '');
  });

  it('carry health and what the last check said', () => {
    const Health = { Status: 'unhealthy', FailingStreak: 1, Log: [{ Start: '', End: '', ExitCode: 1, Output: ' refused\n' }] };
    assert.deepEqual(healthOf(container({ Health })), { health: 'unhealthy', detail: 'exit code 1: refused' });
    assert.deepEqual(healthOf(container({})), { health: 'none', detail: '' });
  });
});

describe('engine errors', () => {
  const answer = (statusCode: number, message: string): Error =>
    Object.assign(new Error(`(HTTP code ${statusCode}) bad - ${message} `), { statusCode });
  const code = (error: unknown): string => engineError(error, 'cannot start web.1', '/x.sock').code;
  it("keep the engine's words and say whether trying again makes sense", () => {
    assert.equal(engineError(answer(400, 'no such file'), 'cannot start web.1', '/x.sock').message, 'cannot start web.1: no such file');
    assert.equal(code(answer(400, 'x')), 'failed_precondition');
    assert.equal(code(answer(404, 'x')), 'not_found');
    assert.equal(code(answer(409, 'x')), 'conflict');
    assert.equal(code(answer(500, 'port is already allocated')), 'failed_precondition');
    assert.equal(code(answer(500, 'dial unix containerd.sock: timeout')), 'unavailable');
    assert.equal(code(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })), 'unavailable');
  });
});
