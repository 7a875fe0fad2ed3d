import assert from 'node:assert/strict';
import { InventoryFeed } from '../../../manager/leader/inventory-feed.ts';
import { place } from '../../../manager/scheduler/index.ts';
import { specId } from '../../../manager/state/index.ts';
import { ServiceSpec, StoredSpec, Task, TaskSpec, TaskState, TaskStatus, TaskVerdict } from '../../../proto/index.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { makeNode } from '../../support/placement.ts';
import { putRows, row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const TASK_SPEC = TaskSpec.create();

function node(id: string): RowWrite {
  const made = makeNode({ id });
  return (builder) => {
    row('nodes', id, made.node)(builder);
    row('nodeStatus', id, made.status)(builder);
  };
}

function task(id: string, nodeId: string, more: Partial<Task> = {}): RowWrite {
  const verdict = TaskVerdict.create({ state: TaskState.ASSIGNED });
  return row(
    'tasks',
    id,
    Task.create({ id, serviceId: 's', specNumber: 1, slot: 1, nodeId, desired: TaskState.RUNNING, verdict, ...more }),
  );
}

function ended(id: string, nodeId: string): RowWrite {
  return row('taskStatus', id, TaskStatus.create({ taskId: id, nodeId, state: TaskState.FAILED }));
}

const spec = row('specs', specId('s', 1), StoredSpec.create({ serviceId: 's', number: 1, spec: ServiceSpec.create({ task: TASK_SPEC }) }));

describe('inventory feed', () => {
  it('frees the place of a task for the one that takes over, also after a failed attempt in between', () => {
    const state = stateWith(spec, node('a'), node('b'), task('old', 'a'), task('other', 'b', { slot: 2 }));
    const feed = new InventoryFeed(state, manualClock());
    state.subscribe((changes) => {
      feed.note(changes);
    });
    putRows(state, task('failed', 'b', { replaces: 'old' }), ended('failed', 'b'));
    const next = Task.create({ id: 'next', serviceId: 's', specNumber: 1, slot: 1, replaces: 'failed' });
    feed.aboutToReplace(next);
    const [placed] = place(feed.inventory, [{ taskId: 'next', serviceId: 's', specNumber: 1, spec: TASK_SPEC, ports: [] }], 0);
    assert.equal(placed?.nodeId, 'a');
  });

  it('counts a task again once the one that was to take over waits, or never came to be', () => {
    const state = stateWith(spec, node('a'), task('old', 'a'));
    const feed = new InventoryFeed(state, manualClock());
    const counts = (): boolean => feed.inventory.demandOf('old')?.active !== false;
    feed.aboutToReplace(Task.create({ id: 'next', serviceId: 's', specNumber: 1, slot: 1, replaces: 'old' }));
    assert.ok(!counts());
    feed.notPlaced('next');
    assert.ok(counts());
    feed.aboutToReplace(Task.create({ id: 'again', serviceId: 's', specNumber: 1, slot: 1, replaces: 'old' }));
    assert.ok(!counts());
    feed.feedTask('again');
    assert.ok(counts());
  });
});
