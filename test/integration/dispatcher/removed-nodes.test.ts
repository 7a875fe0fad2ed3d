// What a manager says to the agent of a node that its store does not have: tasks are at stake, so only a recorded removal counts.
import assert from 'node:assert/strict';
import { keyOf } from '../../../manager/state/index.ts';
import { type Epoch, type ManagerMessage, NodeState, type Register, RemovedNode } from '../../../proto/index.ts';
import { dispatcherBench } from '../../support/dispatcher-bench.ts';
import { CLUSTER_ID, type DispatcherManager } from '../../support/dispatcher-manager.ts';
import type { FakeAgent } from '../../support/fake-agent.ts';
import { row } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

type Down = NonNullable<ManagerMessage['message']>;

describe('dispatcher: removed nodes', () => {
  const bench = dispatcherBench();
  const { start, manager: at, agent, joined, endOf } = bench;
  afterEach(() => bench.stop());

  /** An agent that has applied assignments, as every one has soon after it joined. */
  const working = async (manager: DispatcherManager): Promise<FakeAgent & { readonly applied: Epoch }> => {
    const one = await joined(manager);
    await until(() => one.book().epoch !== undefined, 'the assignments');
    const applied = one.book().epoch;
    assert.ok(applied !== undefined);
    return { ...one, applied };
  };
  const again = (from: FakeAgent, applied: Epoch | undefined, more: Partial<Register> = {}): { readonly register: Partial<Register> } => ({
    register: { nodeId: from.nodeId(), clusterId: CLUSTER_ID, assignments: applied, ...more },
  });
  /** As `node rm --force` does, with or without its record. */
  const remove = async (manager: DispatcherManager, nodeId: string, recorded = true): Promise<void> => {
    if (recorded) await manager.write(row('removedNodes', nodeId, RemovedNode.create({ id: nodeId })));
    await manager.store.commit({
      compare: [],
      ops: (['nodes', 'sessions', 'nodeStatus'] as const).map((table) => ({ type: 'delete', key: keyOf(table, nodeId) })),
    });
  };
  const verdict = (from: FakeAgent): Extract<Down, { readonly case: 'nodeRemoved' }>['value'] | undefined =>
    from.received.flatMap((message) => (message.case === 'nodeRemoved' ? [message.value] : []))[0];

  it('tells an agent that its node was removed, in its own history and no older than what it applied', async () => {
    const manager = await start(['m1']);
    const one = await working(manager);
    await remove(manager, one.nodeId());
    assert.equal(await endOf(one), 'permission_denied');
    const back = agent(manager, again(one, one.applied));
    assert.equal(await endOf(back), 'permission_denied');
    const said = verdict(back);
    assert.equal(said?.nodeId, one.nodeId());
    assert.equal(said.epoch?.incarnation, one.applied.incarnation);
    assert.ok(said.epoch.revision > one.applied.revision);
  });

  it('does not tell so where no removal is recorded: an emptied or restored store lacks nodes too', async () => {
    const manager = await start(['m1']);
    const one = await working(manager);
    await remove(manager, one.nodeId(), false);
    const back = agent(manager, again(one, one.applied));
    assert.equal(await endOf(back), 'permission_denied');
    assert.match(back.ended()?.message ?? '', /no removal of it is recorded/);
    const never = agent(manager, again(one, one.applied, { nodeId: 'n0000000000000000000000n9' }));
    assert.equal(await endOf(never), 'permission_denied');
    assert.deepEqual([verdict(back), verdict(never)], [undefined, undefined]);
  });

  it('does not tell so to an agent that follows another history, or has applied nothing', async () => {
    const manager = await start(['m1']);
    const one = await working(manager);
    await remove(manager, one.nodeId());
    const before = agent(manager, again(one, { ...one.applied, incarnation: 'zeroth', incarnationNumber: 0 }));
    const fresh = agent(manager, again(one, undefined));
    for (const each of [before, fresh]) {
      assert.equal(await endOf(each), 'permission_denied');
      assert.match(each.ended()?.message ?? '', /follows another history/);
      assert.equal(verdict(each), undefined);
    }
  });

  it('does not tell so while its own state lags behind, and does once it has caught up', async () => {
    const manager = await start(['m1', 'm2'], { settings: { catchUpMs: 150 } });
    const one = await working(manager);
    at(1).holdWatch();
    await remove(manager, one.nodeId());
    const early = agent(at(1), again(one, one.applied));
    assert.equal(await endOf(early), 'unavailable');
    const ahead = agent(manager, again(one, { ...one.applied, revision: 1_000_000 }));
    assert.equal(await endOf(ahead), 'unavailable');
    assert.deepEqual([verdict(early), verdict(ahead)], [undefined, undefined]);
    at(1).releaseWatch();
    const late = agent(at(1), again(one, one.applied));
    assert.equal(await endOf(late), 'permission_denied');
    assert.equal(verdict(late)?.nodeId, one.nodeId());
  });

  it('tells which other nodes were removed and which are down, and nothing of those it does not know', async () => {
    const manager = await start(['m1']);
    const [asking, gone, silent, vanished] = [
      await working(manager),
      await working(manager),
      await working(manager),
      await working(manager),
    ];
    await remove(manager, gone.nodeId());
    await remove(manager, vanished.nodeId(), false);
    silent.beat(0);
    await until(() => manager.state.get('nodeStatus', silent.nodeId())?.value.state === NodeState.NODE_DOWN, 'a node down');
    const nodeIds = [asking, gone, silent, vanished].map((each) => each.nodeId());
    asking.send({ case: 'otherNodes', value: { nodeIds } });
    const fates = () => asking.received.flatMap((message) => (message.case === 'nodeFates' ? [message.value] : []))[0];
    await until(() => fates() !== undefined, 'the answer');
    assert.deepEqual(fates()?.removedNodeIds, [gone.nodeId()]);
    assert.deepEqual(fates()?.downNodeIds, [silent.nodeId()]);
    assert.equal(fates()?.epoch?.clusterId, CLUSTER_ID);
  });
});
