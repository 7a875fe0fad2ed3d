import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { seededIds } from '../../../lib/ids.ts';
import { seededRng } from '../../../lib/rng.ts';
import { type BatchResult, Committer } from '../../../manager/leader/committer.ts';
import type { PlannedWrite, WriteGroup } from '../../../manager/orchestrator/plan.ts';
import type { Row } from '../../../manager/state/index.ts';
import type { CommitResult, Transaction } from '../../../manager/store/store.ts';
import { Event, NodeStatus, Slot, Task } from '../../../proto/index.ts';
import { leaderBench, type FollowedStore, leadershipFor, type LeaderBench } from '../../support/leader-bench.ts';
import { row, storeRows } from '../../support/state-rows.ts';
import { settle } from '../../support/virtual-time.ts';

const FENCE_KEY = 'leader';

describe('the committer', () => {
  let bench: LeaderBench;
  let followed: FollowedStore;
  let ended: AbortController;
  let committer: Committer;
  let results: BatchResult[];

  beforeEach(async () => {
    bench = leaderBench();
    followed = await bench.follow();
    ended = new AbortController();
    results = [];
    const { store, state } = followed;
    committer = new Committer({
      ...{ store, state, clock: bench.clock, ids: seededIds(seededRng(1)) },
      leadership: leadershipFor(0, ended.signal),
    });
  });
  afterEach(() => bench.stop());

  const commit = (groups: readonly WriteGroup[]): Promise<void> => committer.commit(groups, (result) => results.push(result));

  it('packs many groups into few transactions, each fenced and within the limits, and splits none', async () => {
    const groups = Array.from({ length: 200 }, (_, i) => group(`s${i}`, 1 + (i % 7)));
    await commit(groups);
    const { maxListLength } = followed.store.limits;
    const writes = groups.flatMap((each) => each.writes).length;
    assert.ok(followed.sent.length <= Math.ceil(writes / (maxListLength - 10)), `${followed.sent.length} transactions`);
    for (const transaction of followed.sent) {
      assert.ok(transaction.ops.length <= maxListLength && transaction.compare.length <= maxListLength);
      assert.deepEqual(transaction.compare[0], { key: FENCE_KEY, createRevision: 0 });
    }
    for (const each of groups) assert.equal(transactionsWith(followed.sent, each).size, 1, `group ${each.serviceId} is whole`);
    assert.equal(followed.state.count('tasks'), writes);
    assert.ok(results.every(({ committed }) => committed));
    assert.equal(results.flatMap((result) => result.groups).length, groups.length);
  });

  it('leaves room for the fence, events and the route floor in the fullest transaction', async () => {
    const { maxListLength } = followed.store.limits;
    await storeRows(bench.store, ...Array.from({ length: maxListLength }, (_, i) => row('slots', `s/${i}`, Slot.create({ taskId: 't' }))));
    await settle();
    const deletes = [...followed.state.all('slots')].map((each): WriteGroup => ({
      ...{ serviceId: 's', requires: [], events: [Event.create({ message: each.id })] },
      writes: [{ kind: 'delete', table: 'slots', row: each }],
    }));
    await commit(deletes);
    assert.ok(
      results.every(({ committed }) => committed),
      results.map(({ error }) => error?.message).join(),
    );
    assert.equal(followed.state.count('slots'), 0);
  });

  it('splits transactions that are too large in bytes, between groups', async () => {
    const { maxBytes } = followed.store.limits;
    const message = 'x'.repeat(maxBytes / 10);
    const groups = Array.from({ length: 25 }, (_, i): WriteGroup => {
      const value = NodeStatus.create({ nodeId: `n${i}`, message });
      return {
        serviceId: `s${i}`,
        requires: [],
        events: [],
        writes: [{ kind: 'put', table: 'nodeStatus', id: `n${i}`, value, before: undefined }],
      };
    });
    await commit(groups);
    assert.equal(followed.state.count('nodeStatus'), 25);
    assert.equal(results.flatMap((result) => result.groups).length, 25);
    assert.ok(followed.sent.length < 10, `${followed.sent.length} transactions`);
  });

  it('raises the route floor with every transaction that deletes, and with no other', async () => {
    await storeRows(bench.store, row('slots', 'a/1', Slot.create({ taskId: 't' })));
    await settle();
    await commit([group('s', 1)]);
    assert.equal(followed.state.get('routeFloor', ''), undefined);
    const slot = followed.state.get('slots', 'a/1');
    assert.ok(slot);
    await commit([{ serviceId: 'a', requires: [], events: [], writes: [{ kind: 'delete', table: 'slots', row: slot }] }]);
    assert.equal(followed.state.get('routeFloor', '')?.modRevision, (await bench.store.snapshot('')).revision);
  });

  it('compares the rows that a group requires, and says which groups did not go through', async () => {
    await storeRows(bench.store, row('slots', 'a/1', Slot.create({ taskId: 't' })));
    await settle();
    const stale = { ...(followed.state.get('slots', 'a/1') as Row<Slot>), modRevision: 999 };
    const failing: WriteGroup = { ...group('a', 2), requires: [{ table: 'slots', id: 'a/1', row: stale }] };
    await commit([failing]);
    assert.deepEqual(
      results.map(({ committed, error, groups }) => ({ committed, error, groups })),
      [{ committed: false, error: undefined, groups: [failing] }],
    );
    assert.equal(followed.state.count('tasks'), 0);
    await commit([{ ...group('b', 1), requires: [{ table: 'slots', id: 'b/1', row: undefined }] }]);
    assert.equal(followed.state.count('tasks'), 1);
  });

  it('puts the events of a transaction into one row of it, in the order of their making', async () => {
    await commit([withEvent(group('s', 1), 'first')]);
    await commit([withEvent(group('t', 1), 'second'), withEvent(group('u', 1), 'third')]);
    const rows = [...followed.state.all('events')].sort((a, b) => (a.id < b.id ? -1 : 1));
    assert.deepEqual(
      rows.map(({ value }) => value.events.map(({ message }) => message)),
      [['first'], ['second', 'third']],
    );
  });

  it('has a bounded number under way at once, and goes on as they end', async () => {
    const waiting: (() => void)[] = [];
    followed.onCommit = async (real) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return real();
    };
    const done = commit(Array.from({ length: 40 }, (_, i) => group(`s${i}`, 100)));
    await settle();
    assert.equal(waiting.length, 16);
    waiting.shift()?.();
    await settle();
    assert.equal(waiting.length, 16);
    assert.equal(followed.sent.length, 17);
    followed.onCommit = undefined;
    for (let resolve = waiting.shift(); resolve !== undefined; resolve = waiting.shift()) resolve();
    await done;
    assert.equal(followed.state.count('tasks'), 4000);
  });

  it('reports an error with its groups, and carries the others out', async () => {
    const [bad, good] = [group('bad', 100), group('good', 100)];
    followed.onCommit = (real, transaction): Promise<CommitResult> =>
      transaction.ops.some(({ key }) => key.includes('bad')) ? Promise.reject(new ShoalError('outcome_unknown', 'lost')) : real();
    await commit([bad, good]);
    const failed = results.filter(({ committed }) => !committed);
    assert.deepEqual(
      failed.map(({ groups, error }) => [groups, error?.code]),
      [[[bad], 'outcome_unknown']],
    );
    assert.equal(followed.state.count('tasks'), 100);
  });

  it('sends nothing once the lead is over', async () => {
    ended.abort();
    await commit([group('s', 1)]);
    assert.deepEqual(followed.sent, []);
    assert.equal(results[0]?.error?.code, 'failed_precondition');
  });
});

function group(serviceId: string, size: number): WriteGroup {
  const writes = Array.from({ length: size }, (_, i): PlannedWrite => {
    const id = `${serviceId}-t${i}`;
    return { kind: 'put', table: 'tasks', id, value: Task.create({ id, serviceId }), before: undefined };
  });
  return { serviceId, writes, requires: [], events: [] };
}

function withEvent(base: WriteGroup, message: string): WriteGroup {
  return { ...base, events: [Event.create({ message })] };
}

function transactionsWith(sent: readonly Transaction[], { writes }: WriteGroup): Set<number> {
  const keys = new Set(writes.map((write) => `tasks/${write.kind === 'put' ? write.id : write.row.id}`));
  return new Set(sent.flatMap(({ ops }, index) => (ops.some(({ key }) => keys.has(key)) ? [index] : [])));
}
