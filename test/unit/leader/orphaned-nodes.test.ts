import assert from 'node:assert/strict';
import { systemIds } from '../../../lib/ids.ts';
import { silentLogger } from '../../../lib/log.ts';
import { downGroup, orphanedNodes, OrphanTimes, watchOrphanedNodes } from '../../../manager/leader/orphaned-nodes.ts';
import { ClusterState, followStore } from '../../../manager/state/index.ts';
import { openMemoryStore } from '../../../manager/store/memory.ts';
import type { Store } from '../../../manager/store/store.ts';
import { systemClock } from '../../../lib/clock.ts';
import { systemRng } from '../../../lib/rng.ts';
import { ManagerLiveness, Node, NodeSession, NodeState, NodeStatus } from '../../../proto/index.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { row, type RowWrite, stateWith, storeRows } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

const manager = (id: string): RowWrite => row('managers', id, ManagerLiveness.create({ managerId: id }));
const nodeRows = (id: string, managerId: string, state: NodeState = NodeState.NODE_READY): RowWrite[] => [
  row('nodes', id, Node.create({ id })),
  row('sessions', id, NodeSession.create({ nodeId: id, managerId })),
  row('nodeStatus', id, NodeStatus.create({ nodeId: id, state })),
];

describe('orphaned nodes', () => {
  it('are those whose manager is gone, and which are not down', () => {
    const state = stateWith(manager('m1'), ...nodeRows('a', 'm1'), ...nodeRows('b', 'm2'), ...nodeRows('c', 'm2', NodeState.NODE_DOWN));
    assert.deepEqual(
      orphanedNodes(state).map((orphan) => orphan.nodeId),
      ['b'],
    );
  });

  it('get the full time from when they were first seen, and again with a new session', () => {
    const times = new OrphanTimes();
    const before = orphanedNodes(stateWith(...nodeRows('a', 'gone')));
    const after = orphanedNodes(stateWith(manager('x'), ...nodeRows('a', 'gone'))).map((orphan) => ({
      ...orphan,
      session: { ...orphan.session, modRevision: 99 },
    }));
    assert.deepEqual(times.overdue(before, 1000, 5000), []);
    assert.deepEqual(times.overdue(before, 5999, 5000), []);
    assert.deepEqual(times.overdue(before, 6000, 5000), before);
    assert.deepEqual(times.overdue(after, 6000, 5000), []);
    assert.deepEqual(times.overdue([], 7000, 5000), []);
    assert.deepEqual(times.overdue(after, 11_500, 5000), []);
  });

  it('are marked down in a write that compares their session, and that its manager is still away', () => {
    const [orphan] = orphanedNodes(stateWith(...nodeRows('a', 'gone')));
    assert.ok(orphan);
    const group = downGroup(orphan, 5);
    assert.deepEqual(group.requires, [
      { table: 'sessions', id: 'a', row: orphan.session },
      { table: 'managers', id: 'gone', row: undefined },
    ]);
    const [write] = group.writes;
    assert.ok(write?.kind === 'put' && write.table === 'nodeStatus');
    assert.equal((write.value as NodeStatus).state, NodeState.NODE_DOWN);
  });

  it('go down five seconds after the leader took over, and those that registered elsewhere do not', async () => {
    const { store, state, clock, stop } = await watched(
      manager('m1'),
      ...nodeRows('stays', 'gone'),
      ...nodeRows('moves', 'gone'),
      ...nodeRows('safe', 'm1'),
    );
    const stateOf = (id: string): NodeState | undefined => state.get('nodeStatus', id)?.value.state;
    clock.advance(4500);
    assert.equal(stateOf('stays'), NodeState.NODE_READY);
    await storeRows(store, row('sessions', 'moves', NodeSession.create({ nodeId: 'moves', managerId: 'm1', nonce: 'new' })));
    await until(() => state.get('sessions', 'moves')?.value.managerId === 'm1', 'it moved');
    await until(() => {
      clock.advance(250);
      return stateOf('stays') === NodeState.NODE_DOWN;
    }, 'it is down');
    assert.match(state.get('nodeStatus', 'stays')?.value.message ?? '', /its manager gone is gone/);
    assert.equal(state.count('events'), 1);
    clock.advance(10_000);
    assert.equal(stateOf('moves'), NodeState.NODE_READY);
    assert.equal(stateOf('safe'), NodeState.NODE_READY);
    await stop();
  });

  it('are all said to be quiet before the first of them is down, for that one is judged by how many are', async () => {
    const ids = ['a', 'b', 'c'];
    const { state, clock, stop } = await watched(...ids.flatMap((id) => nodeRows(id, 'gone')));
    const quietWith: string[][] = [];
    state.subscribe((changes) => {
      if (!changes.some((change) => change.table === 'nodeStatus' && change.after?.value.state === NodeState.NODE_DOWN)) return;
      quietWith.push(ids.filter((id) => state.get('nodeStatus', id)?.value.silent === true));
    });
    await until(() => {
      clock.advance(250);
      return quietWith.length === ids.length;
    }, 'they are down');
    assert.deepEqual(quietWith[0], ids);
    await stop();
  });
});

interface Watched {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: ManualClock;
  readonly stop: () => Promise<void>;
}

/** Watched by a leader, in time that the test lets pass. */
async function watched(...rows: readonly RowWrite[]): Promise<Watched> {
  const store = openMemoryStore();
  await storeRows(store, ...rows);
  const state = new ClusterState(systemClock, silentLogger);
  const ended = new AbortController();
  const following = followStore({ store, state, clock: systemClock, rng: systemRng, log: silentLogger }, ended.signal);
  await until(() => state.count('nodes') > 0, 'the state is read');
  const clock = manualClock();
  const leadership = { createRevision: 0, ended: ended.signal, fence: <B>(builder: B) => builder };
  const watching = watchOrphanedNodes({ store, state, clock, ids: systemIds, log: silentLogger, leadership });
  return {
    store,
    state,
    clock,
    async stop() {
      ended.abort();
      await watching;
      await store.close();
      await following;
    },
  };
}
