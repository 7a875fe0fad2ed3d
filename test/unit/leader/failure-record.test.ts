import assert from 'node:assert/strict';
import { recordFailures } from '../../../manager/leader/failure-record.ts';
import { InventoryFeed } from '../../../manager/leader/inventory-feed.ts';
import type { PlannedPut, WriteGroup } from '../../../manager/orchestrator/plan.ts';
import { ServiceStatus, Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { serviceRows } from '../../support/cluster-rows.ts';
import { manualClock, type ManualClock } from '../../support/manual-clock.ts';
import { specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';
import { stateWorld } from '../../support/state-world.ts';

const MINUTE_MS = 60_000;

describe('the record of failures', () => {
  function begin() {
    const world = stateWorld();
    world.change([...serviceRows('s', specOf()), row('serviceStatus', 's', ServiceStatus.create({ serviceId: 's', activeSpecNumber: 1 }))]);
    return world;
  }
  type World = ReturnType<typeof begin>;

  function lead(world: World, clock: ManualClock): InventoryFeed {
    const feed = new InventoryFeed(world.state, clock);
    world.state.subscribe((changes) => feed.note(changes));
    return feed;
  }

  function fail(world: World, times: number, nodeId = 'n1'): void {
    for (let n = 0; n < times; n++) {
      const id = `t${world.state.revision}-${n}`;
      world.change([row('tasks', id, Task.create({ id, serviceId: 's', specNumber: 1, slot: 1, nodeId, desired: TaskState.RUNNING }))]);
      world.change([row('taskStatus', id, TaskStatus.create({ taskId: id, nodeId, state: TaskState.FAILED }))]);
    }
  }

  function record(world: World, feed: InventoryFeed, clock: ManualClock, groups: readonly WriteGroup[] = []): readonly ServiceStatus[] {
    return recordFailures(groups, ['s'], world.state, feed.inventory, clock.nowMs()).flatMap(({ writes }) =>
      writes.map((write) => (write as PlannedPut<'serviceStatus'>).value),
    );
  }

  it('lets the next leader know which nodes come last, and begins their window anew', () => {
    const world = begin();
    const clock = manualClock(1000);
    const first = lead(world, clock);
    fail(world, 5);
    fail(world, 2, 'n2');
    const [status] = record(world, first, clock);
    assert.deepEqual(status?.nodeFailures, [
      { nodeId: 'n1', specNumber: 1, count: 5 },
      { nodeId: 'n2', specNumber: 1, count: 2 },
    ]);
    world.change([row('serviceStatus', 's', status)]);
    assert.deepEqual(record(world, first, clock), [], 'nothing changed since');

    const later = manualClock(7);
    const { failures } = lead(world, later).inventory;
    assert.deepEqual(failures.failing('s', 1, later.nowMs() + 4 * MINUTE_MS), ['n1']);
    assert.deepEqual(failures.failing('s', 2, later.nowMs()), [], 'another spec begins without a history');
    assert.deepEqual(failures.failing('s', 1, later.nowMs() + 6 * MINUTE_MS), []);
  });

  it('is part of what the pass writes of the service anyway', () => {
    const world = begin();
    const clock = manualClock(1000);
    const feed = lead(world, clock);
    fail(world, 1);
    const before = world.state.get('serviceStatus', 's');
    const value = ServiceStatus.create({ serviceId: 's', activeSpecNumber: 2 });
    const planned: WriteGroup = {
      ...{ serviceId: 's', requires: [], events: [] },
      writes: [{ kind: 'put', table: 'serviceStatus', id: 's', value, before }],
    };
    assert.deepEqual(record(world, feed, clock, [planned]), [{ ...value, nodeFailures: [{ nodeId: 'n1', specNumber: 1, count: 1 }] }]);
  });

  it('is emptied when the window is over', () => {
    const world = begin();
    const clock = manualClock(1000);
    const feed = lead(world, clock);
    fail(world, 1);
    world.change([row('serviceStatus', 's', record(world, feed, clock)[0] ?? assert.fail())]);
    clock.advance(6 * MINUTE_MS);
    assert.deepEqual(record(world, feed, clock)[0]?.nodeFailures, []);
  });
});
