import assert from 'node:assert/strict';
import {
  ControlLogsRequest,
  CreateServiceRequest,
  EventRecord,
  Event as EventMessage,
  ExecRequest,
  type EventList,
  type ExecDown,
  type ExecUp,
  Filter,
  Node,
  NodeDescription,
  NodeSpec,
  NodeState,
  NodeStatus,
  RemoveServiceRequest,
  type LogChunk,
  type ServiceChange,
  type ServiceProgress,
  ServiceStatus,
  Task,
  TaskState,
  TaskStatus,
  UpdateServiceRequest,
  WatchEventsRequest,
  WatchProgressRequest,
} from '../../../proto/index.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { type FakeTaskStreams, fakeTaskStreams } from '../../support/fake-task-streams.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';
import { readStream, type StreamReader } from '../../support/stream-reader.ts';
import { until } from '../../support/until.ts';

function node(id: string, hostname: string, state: NodeState = NodeState.NODE_READY): RowWrite[] {
  const status = NodeStatus.create({ nodeId: id, state, description: NodeDescription.create({ hostname }) });
  return [row('nodes', id, Node.create({ id, spec: NodeSpec.create({}) })), row('nodeStatus', id, status)];
}

function task(id: string, serviceId: string, more: Partial<Task> = {}): RowWrite {
  const value = { id, serviceId, specNumber: 1, slot: 1, nodeId: 'node-a', desired: TaskState.RUNNING, ...more };
  return row('tasks', id, Task.create(value));
}

function status(taskId: string, state: TaskState, more: Partial<TaskStatus> = {}): RowWrite {
  return row('taskStatus', taskId, TaskStatus.create({ taskId, state, containerId: `c-${taskId}`, ...more }));
}

describe('control API: streams', () => {
  let manager: ControlManager;
  let streams: FakeTaskStreams;
  const readers: StreamReader<unknown>[] = [];

  beforeEach(async () => {
    streams = fakeTaskStreams();
    manager = await startControlManager({ taskStreams: streams });
    await put(...node('node-a', 'alpha'), ...node('node-b', 'beta'));
  });
  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.cancel();
    await manager.stop();
  });

  const put = async (...rows: readonly RowWrite[]): Promise<number> => {
    const revision = await storeRows(manager.store, ...rows);
    await manager.state.reached(revision, 5000);
    return revision;
  };
  const create = (name: string, replicas = 1): Promise<ServiceChange> =>
    manager.client.createService(CreateServiceRequest.create({ spec: specOf({ spec: { name, replicas } }), noResolveImage: true }));
  const idOf = (change: ServiceChange): string => change.service?.id ?? assert.fail('no service');
  const reading = <T>(call: Parameters<typeof readStream<T>>[0]): StreamReader<T> => {
    const reader = readStream(call);
    readers.push(reader);
    return reader;
  };

  describe('progress', () => {
    const watch = (serviceRef: string, revision = 0): StreamReader<ServiceProgress> =>
      reading(manager.client.watchProgress(WatchProgressRequest.create({ serviceRef, revision })));

    it('shows each step until the service has converged, then ends', async () => {
      const created = await create('web', 2);
      const id = idOf(created);
      const progress = watch('web', created.revision);
      await progress.find((each) => each.desired === 2 && each.running === 0 && !each.converged, 'the beginning');
      await put(
        row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber: 1 })),
        task('t1', id),
        status('t1', TaskState.RUNNING),
      );
      await progress.find((each) => each.running === 1 && each.waiting.length === 1, 'one replica');
      await put(task('t2', id, { slot: 2, nodeId: 'node-b' }), status('t2', TaskState.RUNNING));
      await progress.find((each) => each.converged, 'the end');
      assert.equal(await progress.ended(), undefined);
    });

    it('has converged only when the same tasks have stayed up for as long as was asked for', async () => {
      const created = await create('crash');
      const id = idOf(created);
      const request = WatchProgressRequest.create({ serviceRef: id, revision: created.revision, stableMs: 1000 });
      const progress = reading<ServiceProgress>(manager.client.watchProgress(request));
      await put(
        row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber: 1 })),
        task('t1', id),
        status('t1', TaskState.RUNNING),
      );
      await progress.find((each) => each.running === 1 && each.verifyLeftMs === 1000, 'the beginning of the verification');
      // Replaced at once: the number never drops.
      await put(
        task('t1', id, { desired: TaskState.SHUTDOWN }),
        status('t1', TaskState.FAILED, { error: 'exit code 1' }),
        task('t2', id, { replaces: 't1' }),
        status('t2', TaskState.RUNNING),
      );
      const again = await progress.find((each) => each.slots[0]?.message !== '' && each.verifyLeftMs > 0, 'the second task');
      assert.equal(again.verifyLeftMs, 1000);
      assert.equal(again.slots[0]?.message, 'its last task failed: exit code 1');
      await progress.find((each) => each.converged, 'the end');
      assert.equal(await progress.ended(), undefined);
    });

    it('puts changes that come together into one message', async () => {
      const id = idOf(await create('burst', 1));
      const progress = watch(id);
      await progress.find(() => true, 'the beginning');
      const layers = Array.from({ length: 50 }, (_, index) => status('t1', TaskState.PREPARING, { message: `layer ${index}` }));
      await Promise.all(layers.map((layer) => storeRows(manager.store, task('t1', id), layer)));
      await progress.find((each) => each.waiting[0]?.message === 'layer 49', 'the last layer');
      assert.ok(progress.messages.length < 50, `${progress.messages.length} messages for 50 changes`);
    });

    it('ends when the service is removed', async () => {
      const created = await create('gone');
      const progress = watch('gone');
      await progress.find(() => true, 'the beginning');
      await manager.client.removeService(RemoveServiceRequest.create({ ref: idOf(created) }));
      await progress.find((each) => each.removed, 'the removal');
      assert.equal(await progress.ended(), undefined);
    });

    it('of a service that is not there is refused', async () => {
      assert.equal((await watch('nothing').ended())?.code, 'not_found');
    });
  });

  describe('events', () => {
    const watch = (request: Partial<WatchEventsRequest> = {}): StreamReader<EventList> =>
      reading(manager.client.watchEvents(WatchEventsRequest.create(request)));
    const actions = (reader: ReturnType<typeof watch>): string[] =>
      reader.messages.flatMap((list) => list.events.map((event) => `${event.objectName} ${event.action}`));

    it('tell of the changes that the API makes, and nothing that was before', async () => {
      await create('before');
      const events = watch();
      const { service, revision } = await retryUntilSeen(events);
      const spec = { ...service.spec, replicas: 7 };
      await manager.client.updateService(
        UpdateServiceRequest.create({ ref: service.id, version: service.version, spec, noResolveImage: true }),
      );
      await manager.client.removeService(RemoveServiceRequest.create({ ref: service.id }));
      await events.find((list) => list.events.some((event) => event.action === 'remove'), 'the removal');
      assert.deepEqual(actions(events).slice(-3), ['live create', 'live update', 'live remove']);
      const update = events.messages.at(-2)?.events[0];
      assert.deepEqual([update?.attributes['replicas.old'], update?.attributes['replicas.new']], ['1', '7']);
      assert.equal(events.messages.at(-3)?.revision, revision);
      assert.ok(!actions(events).includes('before create'));
    });

    /** A stream is live from when the server took the call, which only its first event can show. */
    async function retryUntilSeen(
      events: ReturnType<typeof watch>,
    ): Promise<{ service: NonNullable<ServiceChange['service']> & { spec: ReturnType<typeof specOf> }; revision: number }> {
      let probes = 0;
      await until(async () => {
        await create(`probe-${probes++}`);
        return events.messages.length > 0;
      }, 'the stream is live');
      const { service, revision } = await create('live');
      if (service?.spec === undefined) return assert.fail('no service');
      return { service: { ...service, spec: service.spec }, revision };
    }

    it('go on from a revision without gap and without repeat', async () => {
      const { revision } = await create('one');
      await create('two');
      const events = watch({ sinceRevision: revision });
      await events.find(() => actions(events).includes('two create'), 'the kept event');
      await create('three');
      await events.find(() => actions(events).includes('three create'), 'the new event');
      assert.deepEqual(actions(events), ['two create', 'three create']);
    });

    it('are filtered by type, action, object and label, and end at a time', async () => {
      await create('one');
      await create('two');
      const record = EventRecord.create({
        events: [
          EventMessage.create({ type: 'task', action: 'state', objectName: 'one.1', timeUnixMs: 5, attributes: { service: 'one' } }),
        ],
      });
      await put(row('events', 'z', record));
      const past = watch({ sinceUnixMs: 1, untilUnixMs: 5 });
      assert.equal(await past.ended(), undefined);
      assert.deepEqual(actions(past), ['one.1 state']);
      const open = watch({ sinceUnixMs: 1, filters: [Filter.create({ key: 'service', values: ['one'] })] });
      await open.find(() => actions(open).length === 2, 'both events');
      assert.deepEqual(actions(open), ['one create', 'one.1 state']);
      const bad = watch({ filters: [Filter.create({ key: 'colour', values: ['x'] })] });
      assert.equal((await bad.ended())?.code, 'invalid_argument');
    });
  });

  describe('logs', () => {
    const logs = (request: Partial<ControlLogsRequest>): StreamReader<LogChunk> =>
      reading(manager.client.logs(ControlLogsRequest.create({ tail: -1, ...request })));
    const linesOf = (reader: ReturnType<typeof logs>): string[] =>
      reader.messages.map((each) => `${each.taskName}@${each.nodeHostname}: ${each.error || String(each.chunk?.data)}`);

    it('bring the lines of all tasks of a service from their nodes, then end', async () => {
      const id = idOf(await create('web', 3));
      await put(
        task('t1', id),
        status('t1', TaskState.RUNNING),
        task('t2', id, { slot: 2, nodeId: 'node-b' }),
        status('t2', TaskState.FAILED),
      );
      await put(task('t3', id, { slot: 3 }), status('t3', TaskState.PREPARING));
      const reader = logs({ refs: ['web'], tail: 10 });
      for (const index of [0, 1]) {
        const end = await streams.stream(index);
        const { request } = end.request;
        assert.ok(request?.case === 'logs' && request.value.tail === 10 && !request.value.follow);
        end.output(`from ${request.value.taskId}`);
        end.end();
      }
      assert.equal(await reader.ended(), undefined);
      assert.deepEqual(linesOf(reader).sort(), ['web.1@alpha: from t1', 'web.2@beta: from t2']);
      assert.equal(streams.opened.length, 2);
      assert.ok(streams.opened.every((end) => end.isClosed));
    });

    it('of one task that cannot be read do not keep the others back', async () => {
      const id = idOf(await create('web', 3));
      await put(...node('node-c', 'gamma', NodeState.NODE_DOWN));
      streams.unreachable.add('node-b');
      const places = ['node-a', 'node-b', 'node-c'];
      await put(
        ...places.flatMap((nodeId, index) => [task(`t${index}`, id, { slot: index + 1, nodeId }), status(`t${index}`, TaskState.RUNNING)]),
      );
      const reader = logs({ refs: [id] });
      const end = await streams.stream(0);
      end.output('fine');
      end.end({ error: 'the log file is gone', errorCode: 'not_found' });
      assert.equal(await reader.ended(), undefined);
      assert.deepEqual(linesOf(reader).sort(), [
        'web.1@alpha: fine',
        'web.1@alpha: the log file is gone',
        'web.2@beta: no session of node-b',
        'web.3@gamma: node gamma does not answer',
      ]);
    });

    it('that are followed take up new tasks as they come, and end with the service', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.RUNNING));
      const reader = logs({ refs: ['web'], follow: true, tail: 0 });
      const first = await streams.stream(0);
      first.output('one');
      await put(task('t2', id, { slot: 2, nodeId: 'node-b' }), status('t2', TaskState.STARTING));
      const second = await streams.stream(1);
      assert.ok(second.request.request?.case === 'logs' && second.request.request.value.tail === -1);
      second.output('two');
      await reader.find((each) => String(each.chunk?.data) === 'two', 'the new task');
      assert.deepEqual(linesOf(reader), ['web.1@alpha: one', 'web.2@beta: two']);
      await manager.client.removeService(RemoveServiceRequest.create({ ref: id }));
      first.end();
      second.end();
      assert.equal(await reader.ended(), undefined);
    });

    it('that are followed are taken up again after a broken stream, from where they were', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.RUNNING));
      const reader = logs({ refs: ['web.1'], follow: true });
      const first = await streams.stream(0);
      first.output('one', 1234);
      first.cut();
      const second = await streams.stream(1);
      assert.ok(second.request.request?.case === 'logs' && second.request.request.value.sinceUnixMs === 1234);
      second.output('two');
      await put(status('t1', TaskState.COMPLETE));
      second.end();
      assert.equal(await reader.ended(), undefined);
      assert.deepEqual(linesOf(reader), ['web.1@alpha: one', 'web.1@alpha: the agent went away', 'web.1@alpha: two']);
    });

    it('are not read faster than the client takes them', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.RUNNING));
      const call = manager.client.logs(ControlLogsRequest.create({ refs: ['web'], tail: -1 }));
      const reader = reading(call);
      const end = await streams.stream(0);
      end.output('first');
      await reader.find(() => true, 'the first line');
      call.pause();
      const frames = 2000;
      for (let index = 0; index < frames; index++) end.output('x'.repeat(10_000));
      end.end();
      // The reading has stopped once nothing moved while whole calls went to the manager and back.
      let before = -1;
      let still = 0;
      await until(async () => {
        await manager.client.listServices({ filters: [] });
        still = end.taken === before ? still + 1 : 0;
        before = end.taken;
        return still >= 10;
      }, 'the reading stops');
      assert.ok(end.taken < frames, `${end.taken} of ${frames} frames were taken though nobody reads`);
      call.resume();
      assert.equal(await reader.ended(), undefined);
      assert.equal(reader.messages.length, frames + 1);
    });

    it('close their streams when the client goes away', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.RUNNING));
      const reader = logs({ refs: ['web'], follow: true });
      const end = await streams.stream(0);
      reader.cancel();
      await until(() => end.isClosed, 'the stream is closed');
    });

    it('of what is not there are refused with every unknown name', async () => {
      await create('web');
      const error = await logs({ refs: ['nope', 'web', 'nil'] }).ended();
      assert.equal(error?.code, 'not_found');
      assert.match(error.message, /"nope", "nil"/);
      assert.equal((await logs({ refs: [] }).ended())?.code, 'invalid_argument');
    });
  });

  describe('exec', () => {
    const start = (ref: string, command: readonly string[] = ['sh']): ExecUp => ({
      frame: { case: 'start', value: { ref, exec: ExecRequest.create({ command, tty: true }) } },
    });

    it('passes frames both ways and ends with the exit code', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.RUNNING));
      const call = manager.client.exec();
      const reader = reading<ExecDown>(call);
      call.write(start('web.1', ['cat']));
      const end = await streams.stream(0);
      const { request } = end.request;
      assert.ok(request?.case === 'exec');
      assert.deepEqual([end.nodeId, request.value.taskId, request.value.command, request.value.tty], ['node-a', 't1', ['cat'], true]);
      call.write({ frame: { case: 'input', value: Buffer.from('hello') } });
      call.write({ frame: { case: 'resize', value: { rows: 24, columns: 80 } } });
      call.end();
      await until(() => end.received.length === 3, 'the frames arrive');
      assert.deepEqual(
        end.received.map((frame) => frame.frame?.case),
        ['input', 'resize', 'inputEnd'],
      );
      end.output('hello');
      end.end({ exitCode: 7 });
      assert.equal(await reader.ended(), undefined);
      assert.deepEqual(
        reader.messages.map(({ frame }) => (frame?.case === 'output' ? String(frame.value.data) : frame?.value.exitCode)),
        ['hello', 7],
      );
    });

    it('is refused in what does not run, without a command, and without a start', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.PREPARING), task('t2', id, { slot: 2 }), status('t2', TaskState.RUNNING));
      const first = async (frame: ExecUp): Promise<string | undefined> => {
        const call = manager.client.exec();
        const reader = reading(call);
        call.write(frame);
        return (await reader.ended())?.message;
      };
      assert.match((await first(start('web.1'))) ?? '', /task web\.1 \(t1\) is preparing/);
      assert.match((await first(start('web.2', []))) ?? '', /exec\.command: a command is needed/);
      assert.match((await first(start('nope'))) ?? '', /no such task: "nope"/);
      assert.match((await first({ frame: { case: 'inputEnd', value: {} } })) ?? '', /first frame of Exec must be start/);
      assert.equal(streams.opened.length, 0);
    });

    it('closes its stream when the client goes away, and tells the client when the agent does', async () => {
      const id = idOf(await create('web'));
      await put(task('t1', id), status('t1', TaskState.RUNNING));
      const [one, two] = [manager.client.exec(), manager.client.exec()];
      const [leaving, staying] = [reading(one), reading(two)];
      one.write(start('t1'));
      const first = await streams.stream(0);
      leaving.cancel();
      await until(() => first.isClosed, 'the stream is closed');
      two.write(start('t1'));
      (await streams.stream(1)).cut();
      assert.equal((await staying.ended())?.code, 'unavailable');
    });
  });
});
