import assert from 'node:assert/strict';
import {
  CreateServiceRequest,
  EventFloor,
  type EventList,
  EventRecord,
  Filter,
  RemoveServiceRequest,
  TaskAction,
  TaskChanges,
  TaskState,
  WatchEventsRequest,
} from '../../../proto/index.ts';
import { createMemoryServer } from '../../../manager/store/memory.ts';
import { type ControlManager, startControlManager } from '../../support/control-manager.ts';
import { makeNode } from '../../support/placement.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';
import { readStream, type StreamReader } from '../../support/stream-reader.ts';
import { until } from '../../support/until.ts';

describe('control API: the history of events', () => {
  const managers: ControlManager[] = [];
  const readers: StreamReader<EventList>[] = [];

  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.cancel();
    await Promise.all(managers.splice(0).map((manager) => manager.stop()));
  });

  async function start(server = createMemoryServer()): Promise<ControlManager> {
    const manager = await startControlManager({ server });
    managers.push(manager);
    return manager;
  }

  function watch(manager: ControlManager, request: Partial<WatchEventsRequest> = {}): StreamReader<EventList> {
    const reader = readStream<EventList>(manager.client.watchEvents(WatchEventsRequest.create(request)));
    readers.push(reader);
    return reader;
  }

  async function put(manager: ControlManager, ...rows: readonly RowWrite[]): Promise<number> {
    const revision = await storeRows(manager.store, ...rows);
    await manager.state.reached(revision, 5000);
    return revision;
  }

  const record = (name: string): RowWrite =>
    row(
      'events',
      `id-${name}`,
      EventRecord.create({
        events: [{ timeUnixMs: 5, type: 'service', action: 'update', objectId: name, objectName: name, message: '', attributes: {} }],
      }),
    );
  const names = ({ messages }: StreamReader<EventList>): string[] =>
    messages.flatMap(({ events }) => events.map(({ objectName }) => objectName));
  const create = (manager: ControlManager, name: string): Promise<unknown> =>
    manager.client.createService(CreateServiceRequest.create({ spec: specOf({ spec: { name } }), noResolveImage: true }));

  it('begins by saying from where on the stream has everything', async () => {
    const manager = await start();
    await create(manager, 'before');
    const events = watch(manager);
    await events.find(() => true, 'the first message');
    assert.deepEqual([events.messages[0]?.events, events.messages[0]?.revision], [[], manager.state.revision]);
    await create(manager, 'after');
    await events.find(() => names(events).length > 0, 'the event');
    assert.deepEqual(names(events), ['after']);
  });

  it('goes on at another manager without gap and without repeat', async () => {
    const server = createMemoryServer();
    const [one, two] = [await start(server), await start(server)];
    const made: string[] = [];
    const over = new AbortController();
    // All the while others change things, through both.
    const changing = (async () => {
      for (let i = 0; !over.signal.aborted; i++) {
        const name = `s${i}`;
        await create(i % 2 === 0 ? one : two, name);
        made.push(name);
      }
    })();
    const seen: string[] = [];
    let since = 1;
    for (let round = 0; round < 6; round++) {
      const reader = watch(round % 2 === 0 ? one : two, { sinceRevision: since });
      const wanted = made.length + 5;
      await until(() => seen.length + names(reader).length >= wanted, 'more events');
      reader.cancel();
      seen.push(...names(reader));
      since = reader.messages.at(-1)?.revision ?? assert.fail();
    }
    over.abort();
    await changing;
    const last = watch(two, { sinceRevision: since });
    await until(() => seen.length + names(last).length >= made.length, 'all events');
    assert.deepEqual([...seen, ...names(last)], made);
  });

  it('waits for a revision that this manager does not have yet', async () => {
    const server = createMemoryServer();
    const [one, behind] = [await start(server), await start(server)];
    behind.setLagging(true);
    await create(one, 'first');
    const revision = one.state.revision;
    await create(one, 'second');
    const events = watch(behind, { sinceRevision: revision });
    behind.setLagging(false);
    await events.find(() => names(events).length > 0, 'the second');
    assert.deepEqual(names(events), ['second']);
  });

  it('says that a resume point has left the ring, and what the first revision is that is still there', async () => {
    const manager = await start();
    await put(manager, record('one'));
    const lost = await put(manager, record('two'));
    const kept = await put(manager, record('three'));
    await put(manager, (builder) => {
      for (const name of ['one', 'two']) builder.delete('events', manager.state.get('events', `id-${name}`) ?? assert.fail());
      builder.overwrite('eventFloor', '', EventFloor.create({ revision: lost, timeUnixMs: 3 }));
    });
    const error = await watch(manager, { sinceRevision: lost - 1 }).ended();
    assert.equal(error?.code, 'compacted');
    assert.match(
      error.message,
      new RegExp(`those up to revision ${lost} are gone, the first that is still there is of revision ${kept}; go on with --since ${lost}`),
    );
    const events = watch(manager, { sinceRevision: lost });
    await events.find(() => names(events).length > 0, 'what is kept');
    assert.deepEqual(names(events), ['three']);
    const byTime = watch(manager, { sinceUnixMs: 1 });
    await byTime.find(() => names(byTime).length > 0, 'what is kept');
    assert.deepEqual([byTime.messages[0]?.keptSinceUnixMs, names(byTime)], [4, ['three']]);
    const later = watch(manager, { sinceUnixMs: 4 });
    await later.find(() => names(later).length > 0, 'what is kept');
    assert.equal(later.messages[0]?.keptSinceUnixMs, 0);
  });

  it('ends with the events of a revision', async () => {
    const manager = await start();
    await put(manager, record('one'));
    const two = await put(manager, record('two'));
    await put(manager, record('three'));
    const past = watch(manager, { sinceRevision: 1, untilRevision: two });
    assert.equal(await past.ended(), undefined);
    assert.deepEqual(names(past), ['one', 'two']);
    const coming = watch(manager, { untilRevision: manager.state.revision + 1 });
    await coming.find(() => true, 'the stream is live');
    await put(manager, record('four'));
    await put(manager, record('five'));
    assert.equal(await coming.ended(), undefined);
    assert.deepEqual(names(coming), ['four']);
  });

  it('gives an event for each change of a task, and filters them by task, service, node and state', async () => {
    const manager = await start();
    const { node, status } = makeNode({ id: 'n1' });
    await put(manager, row('nodes', 'n1', node), row('nodeStatus', 'n1', status));
    const change = (taskId: string, slot: number, action: TaskAction, state: TaskState, reason = ''): TaskChanges['changes'][number] => ({
      taskId,
      slot,
      nodeId: 'n1',
      action,
      state,
      reason,
      jobIteration: undefined,
    });
    const tasks = [
      TaskChanges.create({
        serviceId: 's1',
        serviceName: 'web',
        timeUnixMs: 5,
        changes: [
          change('t1', 1, TaskAction.TASK_CREATE, TaskState.NEW),
          change('t1', 1, TaskAction.TASK_STATE, TaskState.FAILED, 'exit code 1'),
        ],
      }),
      TaskChanges.create({
        serviceId: 's2',
        serviceName: 'db',
        timeUnixMs: 5,
        changes: [change('t2', 1, TaskAction.TASK_STATE, TaskState.RUNNING)],
      }),
    ];
    await put(manager, row('events', 'e', EventRecord.create({ tasks })));
    const matching = async (...filters: readonly [string, string][]): Promise<readonly string[]> => {
      const reader = watch(manager, {
        sinceUnixMs: 1,
        untilUnixMs: 6,
        filters: filters.map(([key, value]) => Filter.create({ key, values: [value] })),
      });
      assert.equal(await reader.ended(), undefined);
      return reader.messages.flatMap(({ events }) =>
        events.map(({ objectName, action, message }) => `${objectName} ${action} ${message}`.trim()),
      );
    };
    assert.deepEqual(await matching(), ['web.1 create placed at once', 'web.1 state failed: exit code 1', 'db.1 state running']);
    assert.deepEqual(await matching(['task', 'db.1']), ['db.1 state running']);
    assert.deepEqual(await matching(['task', 't1'], ['event', 'failed']), ['web.1 state failed: exit code 1']);
    assert.deepEqual(await matching(['service', 'db']), ['db.1 state running']);
    assert.equal((await matching(['node', 'host-n1'])).length, 3);
    assert.deepEqual(await matching(['node', 'other']), []);
  });

  it('has the removal of a service under its own name', async () => {
    const manager = await start();
    await create(manager, 'web');
    await manager.client.removeService(RemoveServiceRequest.create({ ref: 'web' }));
    const events = watch(manager, { sinceRevision: 1, filters: [Filter.create({ key: 'service', values: ['web'] })] });
    await events.find(() => names(events).length === 2, 'both');
    assert.deepEqual(names(events), ['web', 'web']);
  });
});
