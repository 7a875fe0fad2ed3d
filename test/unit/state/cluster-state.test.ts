import assert from 'node:assert/strict';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { type Change, ClusterState, TransactionBuilder } from '../../../manager/state/index.ts';
import type { KeyValue } from '../../../manager/store/store.ts';
import { Node, Task } from '../../../proto/index.ts';

function taskItem(id: string, fields: Partial<Task>, modRevision: number, createRevision = modRevision): KeyValue {
  return { key: `tasks/${id}`, value: Task.encode(Task.create({ id, ...fields })), createRevision, modRevision };
}

function newState(): { state: ClusterState; changes: Change[] } {
  const state = new ClusterState(systemClock, silentLogger);
  const changes: Change[] = [];
  state.subscribe((batch) => changes.push(...batch));
  return { state, changes };
}

const ids = (rows: Iterable<{ readonly id: string }>): string[] => [...rows].map((row) => row.id).sort();

describe('cluster state', () => {
  it('finds tasks by service and by node, also after they are placed and removed', () => {
    const { state } = newState();
    state.applyRevision(1, [{ type: 'put', item: taskItem('a', { serviceId: 's1' }, 1) }]);
    assert.deepEqual(ids(state.tasksOfService('s1')), ['a']);
    assert.deepEqual(ids(state.tasksOfNode('n1')), []);
    state.applyRevision(2, [{ type: 'put', item: taskItem('a', { serviceId: 's1', nodeId: 'n1' }, 2, 1) }]);
    assert.deepEqual(ids(state.tasksOfNode('n1')), ['a']);
    state.applyRevision(3, [{ type: 'delete', key: 'tasks/a', modRevision: 3 }]);
    assert.deepEqual(ids(state.tasksOfService('s1')), []);
    assert.deepEqual(ids(state.tasksOfNode('n1')), []);
  });

  it('takes its own commit at once, and the watch brings it no second time', () => {
    const { state, changes } = newState();
    const builder = new TransactionBuilder().put('nodes', 'n1', Node.create({ id: 'n1' }), undefined);
    state.applyOwn(5, builder.ownWrites());
    assert.equal(state.get('nodes', 'n1')?.modRevision, 5);
    assert.equal(state.revision, 0);
    const value = Node.encode(Node.create({ id: 'n1' }));
    state.applyRevision(5, [{ type: 'put', item: { key: 'nodes/n1', value, createRevision: 5, modRevision: 5 } }]);
    assert.equal(changes.length, 1);
    assert.equal(state.revision, 5);
  });

  it('is not set back by an older event that arrives after an own commit', () => {
    const { state } = newState();
    state.applyRevision(1, [{ type: 'put', item: taskItem('a', { slot: 1 }, 1) }]);
    const row = state.get('tasks', 'a');
    assert.ok(row);
    state.applyOwn(4, new TransactionBuilder().put('tasks', 'a', { ...row.value, slot: 2 }, row).ownWrites());
    state.applyRevision(3, [{ type: 'put', item: taskItem('a', { slot: 9 }, 3, 1) }]);
    assert.equal(state.get('tasks', 'a')?.value.slot, 2);
    assert.equal(state.get('tasks', 'a')?.createRevision, 1);
  });

  it('does not bring back a row that an own commit deleted ahead of the watch', () => {
    const { state } = newState();
    state.applyRevision(1, [{ type: 'put', item: taskItem('a', {}, 1) }]);
    const row = state.get('tasks', 'a');
    assert.ok(row);
    state.applyOwn(4, new TransactionBuilder().delete('tasks', row).ownWrites());
    state.applyRevision(3, [{ type: 'put', item: taskItem('a', {}, 3, 1) }]);
    assert.equal(state.get('tasks', 'a'), undefined);
    state.applyRevision(6, [{ type: 'put', item: taskItem('a', {}, 6) }]);
    assert.equal(state.get('tasks', 'a')?.modRevision, 6);
  });

  it('drops what a fresh snapshot no longer holds, and says so', () => {
    const { state, changes } = newState();
    state.applyRevision(2, [
      { type: 'put', item: taskItem('a', {}, 2) },
      { type: 'put', item: taskItem('b', {}, 2) },
    ]);
    changes.length = 0;
    state.applySnapshot(9, [taskItem('b', {}, 2)]);
    assert.deepEqual(
      changes.map((change) => [change.id, change.after]),
      [['a', undefined]],
    );
    assert.equal(state.revision, 9);
  });

  it('passes over keys of a later version and values that cannot be read', () => {
    const { state, changes } = newState();
    const junk = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    state.applyRevision(1, [
      { type: 'put', item: { key: 'volumes/x', value: junk, createRevision: 1, modRevision: 1 } },
      { type: 'put', item: { key: 'tasks/x', value: junk, createRevision: 1, modRevision: 1 } },
    ]);
    assert.equal(changes.length, 0);
    assert.equal(state.revision, 1);
  });

  it('tells who waits for a revision once it is there, and who waits in vain that it is behind', async () => {
    const { state } = newState();
    const reached = state.reached(3, 5000);
    state.applyProgress(3);
    await reached;
    await assert.rejects(state.reached(4, 1), { code: 'unavailable' });
  });
});
