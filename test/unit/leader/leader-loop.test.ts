import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { seededIds } from '../../../lib/ids.ts';
import { type LogFields, silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { runLeaderLoop } from '../../../manager/leader/leader-loop.ts';
import { TransactionBuilder } from '../../../manager/state/index.ts';
import type { Op, Transaction } from '../../../manager/store/store.ts';
import {
  Availability,
  Event,
  Node,
  NodeDescription,
  NodeRole,
  NodeState,
  NodeStatus,
  Slot,
  Task,
  TaskState,
} from '../../../proto/index.ts';
import { serviceRows } from '../../support/cluster-rows.ts';
import { type FollowedStore, leaderBench, type LeaderBench, leadershipFor } from '../../support/leader-bench.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';
import { passTime, passUntil, settle } from '../../support/virtual-time.ts';

const NODE: readonly RowWrite[] = [
  row('nodes', 'n1', Node.create({ id: 'n1', spec: { role: NodeRole.WORKER, availability: Availability.ACTIVE, labels: {} } })),
  row(
    'nodeStatus',
    'n1',
    NodeStatus.create({
      ...{ nodeId: 'n1', state: NodeState.NODE_READY },
      description: NodeDescription.create({ hostname: 'n1', resources: { nanoCpus: 4e9, memoryBytes: 8 * 1024 ** 3, pids: 0 } }),
    }),
  ),
];

describe('the leader’s loop', () => {
  let bench: LeaderBench;
  let followed: FollowedStore;
  let ended: AbortController;
  let loop: Promise<void> | undefined;
  let warnings: { readonly message: string; readonly fields: LogFields | undefined }[];

  beforeEach(async () => {
    bench = leaderBench();
    await storeRows(bench.store, ...NODE);
    followed = await bench.follow();
    ended = new AbortController();
    warnings = [];
  });
  afterEach(async () => {
    followed.onCommit = undefined;
    ended.abort();
    await loop;
    loop = undefined;
    await bench.stop();
  });

  async function lead(): Promise<void> {
    const { store, state } = followed;
    const log = { ...silentLogger, warn: (message: string, fields?: LogFields) => void warnings.push({ message, fields }) };
    loop = runLeaderLoop({
      ...{ store, state, clock: bench.clock, ids: seededIds(seededRng(5)), log },
      leadership: leadershipFor(0, ended.signal),
    });
    await settle();
  }
  const want = (id: string, replicas: number): Promise<number> =>
    storeRows(bench.store, ...serviceRows(id, specOf({ spec: { name: id, replicas } })));

  /** What the store has: tasks of the service by slot. */
  async function stored(serviceId: string): Promise<ReadonlyMap<number, readonly Task[]>> {
    const { items } = await bench.store.snapshot('');
    const tasks = items.filter(({ key }) => key.startsWith('tasks/')).map(({ value }) => Task.decode(value));
    const slots = items.filter(({ key }) => key.startsWith(`slots/${serviceId}/`));
    const bySlot = new Map<number, Task[]>();
    for (const task of tasks) {
      if (task.serviceId === serviceId) bySlot.set(task.slot, [...(bySlot.get(task.slot) ?? []), task]);
    }
    for (const { key, value } of slots) {
      const slot = Number(key.split('/')[2]);
      assert.deepEqual(
        bySlot.get(slot)?.map(({ id }) => id),
        [Slot.decode(value).taskId],
        `slot ${slot} is filled once`,
      );
    }
    assert.equal(slots.length, bySlot.size);
    return bySlot;
  }

  it('makes the tasks of what is there when it begins, and of what comes', async () => {
    await want('a', 3);
    await lead();
    assert.equal((await stored('a')).size, 3);
    await want('b', 2);
    await settle();
    const tasks = [...(await stored('b')).values()].flat();
    assert.deepEqual(
      tasks.map(({ nodeId, verdict }) => [nodeId, verdict?.state]),
      [1, 2].map(() => ['n1', TaskState.ASSIGNED]),
    );
    const quiet = followed.sent.length;
    await passTime(bench.clock, 10_000);
    assert.equal(followed.sent.length, quiet, 'and is quiet when all is as it shall be');
  });

  it('lets a big service rest between two looks, and a small one not', async () => {
    await want('big', 1000);
    await want('small', 2);
    await lead();
    await passTime(bench.clock, 1000);
    assert.equal((await stored('big')).size, 1000);
    const scale = async (id: string, replicas: number): Promise<void> => {
      await storeRows(bench.store, ...serviceRows(id, specOf({ spec: { name: id, replicas } }), replicas));
      await settle();
    };
    await scale('big', 1001);
    assert.equal((await stored('big')).size, 1001, 'after a while without changes it is looked at once');
    await scale('big', 1002);
    await scale('small', 3);
    assert.equal((await stored('big')).size, 1001);
    assert.equal((await stored('small')).size, 3);
    await passTime(bench.clock, 100);
    assert.equal((await stored('big')).size, 1002);
  });

  it('decides again after a conflict, from what is there then', async () => {
    let first = true;
    followed.onCommit = async (real, { ops }) => {
      if (!first) return real();
      first = false;
      // Somebody else was quicker: an earlier leader's last transaction, of which the watch has not told yet.
      followed.holdWatch();
      const slot = ops.find(({ key }) => key === 'slots/a/1');
      const taskId = 'earlier';
      assert.ok(slot);
      await storeRows(
        bench.store,
        row('slots', 'a/1', Slot.create({ taskId })),
        row('tasks', taskId, Task.create({ id: taskId, serviceId: 'a', specNumber: 1, slot: 1, nodeId: 'n1', desired: TaskState.RUNNING })),
      );
      return real();
    };
    await want('a', 2);
    await lead();
    const attempts = (): number => followed.sent.length;
    assert.equal(attempts(), 1);
    // Its own state does not show the cause yet: it tries, in moderation, and changes nothing.
    await passTime(bench.clock, 1000);
    assert.ok(attempts() > 1 && attempts() < 30, `${attempts()} attempts`);
    assert.deepEqual([...(await stored('a')).keys()], [1]);
    followed.releaseWatch();
    await passTime(bench.clock, 1000);
    const tasks = await stored('a');
    assert.equal(tasks.get(1)?.[0]?.id, 'earlier');
    assert.equal(tasks.size, 2);
    assert.deepEqual(warnings, []);
  });

  for (const happened of [true, false]) {
    it(`decides again where nobody knows what came of a transaction, never twice: it had ${happened ? '' : 'not '}happened`, async () => {
      let lost = 0;
      followed.onCommit = async (real) => {
        if (lost > 0) return real();
        lost++;
        if (happened) {
          followed.holdWatch();
          await real();
        }
        throw new ShoalError('outcome_unknown', 'the answer was lost');
      };
      await want('a', 3);
      await lead();
      assert.equal(lost, 1);
      assert.equal(warnings.length, 1);
      await passTime(bench.clock, 2000);
      assert.equal((await stored('a')).size, 3);
      followed.releaseWatch();
      await passTime(bench.clock, 2000);
      const tasks = await stored('a');
      assert.equal(tasks.size, 3);
      assert.deepEqual(
        [...followed.state.all('tasks')].map(({ id }) => id).sort(),
        [...tasks.values()]
          .flat()
          .map(({ id }) => id)
          .sort(),
      );
    });
  }

  it('does not ask a store that fails in a tight loop, and goes on by itself', async () => {
    followed.onCommit = () => Promise.reject(new ShoalError('unavailable', 'no quorum'));
    await want('a', 1);
    await lead();
    await passTime(bench.clock, 10_000);
    assert.ok(followed.sent.length >= 5 && followed.sent.length <= 25, `${followed.sent.length} attempts in 10 s`);
    followed.onCommit = undefined;
    await passUntil(bench.clock, () => followed.state.count('tasks') === 1, 'the task is made', 2000);
  });

  it('leaves a service alone while its own changes are under way, and goes on with the others', async () => {
    const release: (() => void)[] = [];
    followed.onCommit = async (real, transaction) => {
      if (concerns(transaction, 'a')) await new Promise<void>((resolve) => release.push(resolve));
      return real();
    };
    await want('a', 2);
    await lead();
    assert.equal(release.length, 1);
    await want('a', 4);
    await want('b', 1);
    await passTime(bench.clock, 3000);
    assert.equal(release.length, 1, 'nothing more of the first service');
    assert.equal((await stored('b')).size, 1);
    assert.equal((await stored('a')).size, 0);
    followed.onCommit = undefined;
    release[0]?.();
    await settle();
    assert.equal((await stored('a')).size, 4, 'and then by its newest spec');
  });

  it('counts its own placements before they are committed, and gives the room back when they are not', async () => {
    const spec = specOf({ spec: { name: 'a', replicas: 1 }, task: { reservations: { nanoCpus: 3e9, memoryBytes: 0, pids: 0 } } });
    const other = specOf({ spec: { name: 'b', replicas: 1 }, task: { reservations: { nanoCpus: 3e9, memoryBytes: 0, pids: 0 } } });
    let refused = 0;
    followed.onCommit = (real, transaction) => {
      if (!concerns(transaction, 'a') || refused > 0) return real();
      refused++;
      return Promise.reject(new ShoalError('unavailable', 'no quorum'));
    };
    await storeRows(bench.store, ...serviceRows('a', spec));
    await lead();
    assert.equal(refused, 1);
    await storeRows(bench.store, ...serviceRows('b', other));
    await passTime(bench.clock, 2000);
    const placed = [...followed.state.all('tasks')].filter(({ value }) => value.nodeId === 'n1');
    const waiting = [...followed.state.all('tasks')].filter(({ value }) => value.nodeId === '');
    assert.deepEqual([placed.length, waiting.length], [1, 1]);
    assert.match(waiting[0]?.value.verdict?.message ?? '', /insufficient resources/);
  });

  it('keeps the ring of events in bounds, also where there are no services', async () => {
    const record = { tasks: [], events: [Event.create({ message: 'x'.repeat(90_000) })] };
    for (let i = 0; i < 10; i++) {
      const builder = new TransactionBuilder();
      for (let j = 0; j < 10; j++) builder.event(`${i}${j}`, [...record.events]);
      await bench.store.commit(builder.build());
    }
    await lead();
    await storeRows(bench.store, row('events', '9a', record));
    await settle();
    assert.ok(followed.state.count('events') < 100, `${followed.state.count('events')} rows`);
  });

  it('sends nothing after its end, and ends when nothing is under way any more', async () => {
    let release: () => void = () => undefined;
    followed.onCommit = async (real) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return real();
    };
    await want('a', 1);
    await lead();
    assert.equal(followed.sent.length, 1);
    let isOver = false;
    void loop?.then(() => {
      isOver = true;
    });
    ended.abort();
    await want('b', 1);
    await passTime(bench.clock, 2000);
    assert.equal(isOver, false);
    release();
    await settle();
    assert.equal(isOver, true);
    await passTime(bench.clock, 2000);
    assert.equal(followed.sent.length, 1);
    assert.equal(bench.clock.waiting, 0);
  });

  it('looks again at a service whose removal left something', async () => {
    await want('a', 2);
    await lead();
    const service = followed.state.get('services', 'a');
    assert.ok(service);
    await bench.store.commit(new TransactionBuilder().delete('services', service).build());
    await passUntil(
      bench.clock,
      () => [...followed.state.all('tasks')].every(({ value }) => value.desired === TaskState.REMOVE),
      'all are told to end',
    );
  });
});

function concerns({ ops }: Transaction, serviceId: string): boolean {
  return ops.some((op: Op) => op.key.startsWith(`slots/${serviceId}/`));
}
