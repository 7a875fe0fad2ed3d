import assert from 'node:assert/strict';
import { createMemoryServer, openMemoryStore } from '../../../manager/store/memory.ts';
import { Availability, Cluster, ClusterSettings, HoldReason, Node, NodeState, NodeStatus, NodeWatch, Task } from '../../../proto/index.ts';
import { massLossIsHeld } from '../../sim/invariants/holds.ts';
import { Mirror } from '../../sim/truth/mirror.ts';
import { row, type RowWrite, storeRows } from '../../support/state-rows.ts';

const IDS = ['a', 'b', 'c', 'd'];

const node = (id: string): RowWrite =>
  row('nodes', id, Node.create({ id, spec: { role: 0, availability: Availability.ACTIVE, labels: {} } }));
const status = (id: string, state: NodeState): RowWrite => row('nodeStatus', id, NodeStatus.create({ nodeId: id, state }));
const down = (...ids: readonly string[]): RowWrite[] => ids.map((id) => status(id, NodeState.NODE_DOWN));
const ready = (...ids: readonly string[]): RowWrite[] => ids.map((id) => status(id, NodeState.NODE_READY));
const held = (...ids: readonly string[]): RowWrite => {
  const nodes = ids.map((nodeId) => ({ nodeId, sessionNonce: `${nodeId}-1`, reason: HoldReason.HOLD_MASS_LOSS, sinceUnixMs: 1 }));
  return row('nodeWatch', '', NodeWatch.create({ held: nodes }));
};
const task = (id: string, nodeId: string, fields: Partial<Task> = {}): RowWrite => row('tasks', id, Task.create({ id, nodeId, ...fields }));
const replaced = (id: string, nodeId: string, by: string): readonly RowWrite[] => [
  task(id, nodeId, { lost: true }),
  task(by, '', { replaces: id }),
];

interface Judge {
  readonly found: readonly string[];
  /** At that second. */
  readonly at: (second: number, ...rows: readonly RowWrite[]) => Promise<void>;
}

/** Four nodes, each with a task of its own name. */
async function judge(): Promise<Judge> {
  const server = createMemoryServer();
  const store = openMemoryStore({ server });
  const found: string[] = [];
  const truth = {
    mirror: new Mirror(server),
    nowMs: 0,
    fail(_invariant: string, text: string): void {
      found.push(text);
    },
  };
  massLossIsHeld(truth);
  const made: Judge = {
    found,
    async at(second, ...rows) {
      truth.nowMs = second * 1000;
      await storeRows(store, ...rows);
    },
  };
  await made.at(0, ...IDS.flatMap((id) => [node(id), ...ready(id), task(`task-${id}`, id)]));
  return made;
}

describe('the check that a mass loss is held', () => {
  it('finds a task that is replaced meanwhile, whether or not the leader said that it holds its node', async () => {
    for (const said of [[], [held('a', 'b', 'c')]]) {
      const { at, found } = await judge();
      await at(100, ...down('a', 'b', 'c'), ...said);
      await at(120, ...replaced('task-a', 'a', 'new'));
      assert.match(found[0] ?? '', /task-a? of node a is replaced 20.0 s after most nodes were lost at once/);
    }
  });

  it('finds nothing in a loss of fewer, or once the hold is over', async () => {
    const { at, found } = await judge();
    await at(100, ...down('a', 'b'));
    await at(120, ...replaced('task-a', 'a', 'new'));
    await at(200, ...down('c', 'd'));
    await at(261, ...replaced('task-c', 'c', 'newer'));
    assert.deepEqual(found, []);
  });

  it('takes a hold of a node that is back for the word of a leader that has not read of that', async () => {
    const { at, found } = await judge();
    await at(100, ...down('a', 'b', 'c'));
    await at(101, ...ready('a', 'b', 'c'));
    await at(102, held('a'));
    await at(103, held());
    await at(130, ...down('a'));
    await at(131, ...replaced('task-a', 'a', 'new'));
    assert.deepEqual(found, []);
  });

  it('lets the replacement of one that was lost before be made anew, and asks again once the lost one was back', async () => {
    for (const isBack of [false, true]) {
      const { at, found } = await judge();
      await at(50, ...down('a'));
      await at(51, ...replaced('task-a', 'a', 'first'));
      await at(60, ...ready('a'), ...(isBack ? [task('task-a', 'a')] : []));
      await at(100, ...down('a', 'b', 'c'), held('a', 'b', 'c'));
      await at(110, ...replaced('task-a', 'a', 'second'));
      assert.equal(found.length > 0, isBack);
    }
  });

  it('does not ask the default of a hold that was begun by other settings', async () => {
    const { at, found } = await judge();
    const settings = (massLossHoldMs?: number): RowWrite =>
      row('cluster', '', Cluster.create({ settings: ClusterSettings.create({ massLossHoldMs }) }));
    await at(90, settings(20_000));
    await at(100, ...down('a', 'b', 'c'), held('a', 'b', 'c'));
    await at(110, settings());
    await at(111, ...ready('c'), held('a', 'b'));
    await at(121, ...replaced('task-a', 'a', 'new'));
    assert.deepEqual(found, []);
  });
});
