import assert from 'node:assert/strict';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { ShoalError } from '../../../lib/errors.ts';
import { fromServiceError } from '../../../lib/rpc/index.ts';
import type { TaskStream } from '../../../manager/dispatcher/index.ts';
import { LogsRequest, OpenStream, type TaskStreamDown, type TaskStreamUp } from '../../../proto/index.ts';
import { dispatcherBench } from '../../support/dispatcher-bench.ts';
import type { DispatcherManager } from '../../support/dispatcher-manager.ts';
import type { FakeAgent } from '../../support/fake-agent.ts';
import { until } from '../../support/until.ts';

type AgentSide = ClientDuplexStream<TaskStreamUp | Uint8Array, TaskStreamDown>;

const request = OpenStream.create({ request: { case: 'logs', value: LogsRequest.create({ taskId: 'a' }) } });
const line = (text: string): TaskStreamUp => ({ frame: { case: 'output', value: { source: 0, data: Buffer.from(text), timeUnixMs: 0 } } });
const end: TaskStreamUp = { frame: { case: 'end', value: { exitCode: undefined, error: '', errorCode: '' } } };
const input = (text: string): TaskStreamDown => ({ frame: { case: 'input', value: Buffer.from(text) } });

async function read(stream: TaskStream): Promise<string[]> {
  const texts: string[] = [];
  for await (const { frame } of stream)
    texts.push(frame?.case === 'output' ? Buffer.from(frame.value.data).toString() : (frame?.case ?? 'none'));
  return texts;
}

const refusal = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'none',
    (error: unknown) => ShoalError.from(error).code,
  );

describe('dispatcher: streams to tasks', () => {
  const bench = dispatcherBench();
  afterEach(() => bench.stop());
  const never = new AbortController().signal;

  /** Asks `manager` for a stream to the agent's node; the agent dials in. */
  const opened = async (manager: DispatcherManager, agent: FakeAgent): Promise<{ stream: TaskStream; up: AgentSide }> => {
    const before = agent.openStreams().length;
    const opening = manager.dispatcher.taskStreams.open(agent.nodeId(), request, never);
    await until(() => agent.openStreams().length > before, 'the agent is asked');
    const asked = agent.openStreams().at(-1);
    assert.ok(asked);
    const up = agent.attach(asked);
    return { stream: await opening, up };
  };

  it('carry what the manager of the session knows of the mesh, whoever asks', async () => {
    const manager = await bench.start(['m1', 'm2']);
    const agent = await bench.joined(bench.manager(1));
    await until(() => manager.state.get('sessions', agent.nodeId()) !== undefined, 'the session is known');
    const asking = manager.dispatcher.taskStreams.open(
      agent.nodeId(),
      OpenStream.create({ request: { case: 'meshStatus', value: { targets: true, lag: undefined } } }),
      never,
    );
    await until(() => agent.openStreams().length > 0, 'the agent is asked');
    const asked = agent.openStreams().at(-1);
    assert.ok(asked?.request?.case === 'meshStatus');
    const { targets, lag } = asked.request.value;
    assert.equal(targets, true);
    assert.ok(lag !== undefined && lag.sentRevision > 0, JSON.stringify(lag));
    agent.attach(asked);
    (await asking).close();
  });

  for (const where of ['this manager', 'another manager']) {
    it(`carry output up and input down, for a session of ${where}`, async () => {
      const manager = await bench.start(['m1', 'm2']);
      const agent = await bench.joined(where === 'this manager' ? manager : bench.manager(1));
      await until(() => manager.state.get('sessions', agent.nodeId()) !== undefined, 'the session is known');
      const { stream, up } = await opened(manager, agent);
      const received: string[] = [];
      up.on('data', ({ frame }: TaskStreamDown) =>
        received.push(frame?.case === 'input' ? Buffer.from(frame.value).toString() : (frame?.case ?? '')),
      );
      const texts = read(stream);
      await stream.send(input('one'));
      await stream.send({ frame: { case: 'inputEnd', value: {} } });
      await until(() => received.join() === 'accepted,one,inputEnd', 'the input came');
      for (const text of ['x', 'y']) up.write(line(text));
      up.write(end);
      assert.deepEqual(await texts, ['x', 'y', 'end']);
      assert.equal(await refusal(stream.send(input('late'))), 'unavailable');
    });

    it(`hold back an agent whose reader is slow, and lose nothing, for a session of ${where}`, async () => {
      const manager = await bench.start(['m1', 'm2']);
      const agent = await bench.joined(where === 'this manager' ? manager : bench.manager(1));
      await until(() => manager.state.get('sessions', agent.nodeId()) !== undefined, 'the session is known');
      const { stream, up } = await opened(manager, agent);
      const block = 'z'.repeat(64 * 1024);
      let sent = 0;
      while (up.write(line(`${sent}:${block}`)) || sent < 100) {
        sent++;
        if (sent > 2000) break;
        await new Promise((resolve) => setImmediate(resolve));
      }
      sent++;
      assert.ok(sent < 2000, 'the agent is never held back');
      up.write(end);
      const texts = await read(stream);
      assert.equal(texts.length, sent + 1);
      texts.slice(0, -1).forEach((text, i) => assert.ok(text.startsWith(`${i}:`)));
    });

    it(`end with unavailable when the agent goes away, and end the agent's side when closed here, for a session of ${where}`, async () => {
      const manager = await bench.start(['m1', 'm2']);
      const agent = await bench.joined(where === 'this manager' ? manager : bench.manager(1));
      await until(() => manager.state.get('sessions', agent.nodeId()) !== undefined, 'the session is known');
      const broken = await opened(manager, agent);
      broken.up.write(line('x'));
      const texts = broken.stream[Symbol.asyncIterator]();
      assert.equal((await texts.next()).done, false);
      broken.up.cancel();
      assert.equal(await refusal(Promise.resolve(texts.next())), 'unavailable');
      const closed = await opened(manager, agent);
      let over = false;
      closed.up.on('data', () => undefined);
      closed.up.on('end', () => (over = true));
      closed.stream.close();
      await until(() => over, 'the agent hears of it');
      assert.deepEqual(await read(closed.stream), []);
    });
  }

  it('are unavailable where no agent is in reach, does not attach in time, or the caller gives up', async () => {
    const manager = await bench.start(['m1', 'm2'], { settings: { attachMs: 200 } });
    const agent = await bench.joined(manager);
    const open = (nodeId: string, signal = never): Promise<TaskStream> => manager.dispatcher.taskStreams.open(nodeId, request, signal);
    assert.equal(await refusal(open('nobody')), 'unavailable');
    assert.equal(await refusal(open(agent.nodeId())), 'unavailable');
    await until(() => bench.manager(1).state.get('sessions', agent.nodeId()) !== undefined, 'the session is known');
    assert.equal(await refusal(bench.manager(1).dispatcher.taskStreams.open(agent.nodeId(), request, never)), 'unavailable');
    const gone = new AbortController();
    const opening = open(agent.nodeId(), gone.signal);
    gone.abort();
    assert.equal(await refusal(opening), 'cancelled');
    agent.close();
    await until(() => manager.dispatcher.sessionCount() === 0, 'the session ended');
    assert.equal(await refusal(open(agent.nodeId())), 'unavailable');
  });

  it('are refused to an agent that attaches to what nobody asked it for', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    const other = await bench.joined(manager);
    const opening = manager.dispatcher.taskStreams.open(agent.nodeId(), request, never);
    await until(() => agent.openStreams().length === 1, 'the agent is asked');
    const asked = agent.openStreams()[0];
    assert.ok(asked);
    const stolen = other.attach(asked);
    const code = await new Promise<string>((resolve) => stolen.on('error', (error) => resolve(fromServiceError(error, '').code)));
    assert.equal(code, 'not_found');
    const up = agent.attach(asked);
    up.write(end);
    assert.deepEqual(await read(await opening), ['end']);
  });

  it('are limited in number per node', async () => {
    const manager = await bench.start(['m1'], { settings: { maxStreamsPerNode: 2 } });
    const agent = await bench.joined(manager);
    const first = await opened(manager, agent);
    await opened(manager, agent);
    const open = (): Promise<string> => refusal(manager.dispatcher.taskStreams.open(agent.nodeId(), request, never));
    assert.equal(await open(), 'resource_exhausted');
    first.stream.close();
    await opened(manager, agent);
  });
});
