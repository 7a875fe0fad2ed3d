import assert from 'node:assert/strict';
import { InventoryFeed } from '../../../manager/leader/inventory-feed.ts';
import { placeWaiting } from '../../../manager/leader/placer.ts';
import type { PlannedPut, WriteGroup } from '../../../manager/orchestrator/plan.ts';
import {
  Availability,
  Cluster,
  ClusterSettings,
  Node,
  NodeDescription,
  NodeRole,
  NodeState,
  NodeStatus,
  Placement,
  type ServiceSpec,
  Slot,
  Task,
  TaskSpec,
  TaskState,
} from '../../../proto/index.ts';
import { serviceRows } from '../../support/cluster-rows.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, type RowWrite } from '../../support/state-rows.ts';
import { stateWorld } from '../../support/state-world.ts';

const CPU = 1e9;

function nodeRows(id: string, cpus = 4): readonly RowWrite[] {
  const resources = { nanoCpus: cpus * CPU, memoryBytes: 8 * 1024 ** 3, pids: 0 };
  const description = NodeDescription.create({ hostname: id, resources });
  return [
    row('nodes', id, Node.create({ id, spec: { role: NodeRole.WORKER, availability: Availability.ACTIVE, labels: {} } })),
    row('nodeStatus', id, NodeStatus.create({ nodeId: id, state: NodeState.NODE_READY, description })),
  ];
}

function waiting(id: string, fields: Partial<Task> = {}): Task {
  const verdict = { state: TaskState.PENDING, message: '', sinceUnixMs: 7 };
  return Task.create({ id, serviceId: 's', specNumber: 1, slot: 1, desired: TaskState.RUNNING, verdict, ...fields });
}

/** As a reconciler makes it: the task with its slot. */
function made(task: Task): WriteGroup {
  return {
    ...{ serviceId: task.serviceId, requires: [], events: [] },
    writes: [
      { kind: 'put', table: 'slots', id: `s/${task.slot}`, value: Slot.create({ taskId: task.id }), before: undefined },
      { kind: 'put', table: 'tasks', id: task.id, value: task, before: undefined },
    ],
  };
}

function reserving(cpus: number): ServiceSpec {
  return specOf({ task: TaskSpec.create({ reservations: { nanoCpus: cpus * CPU, memoryBytes: 0, pids: 0 } }) });
}

describe('the placer', () => {
  function begin(spec: ServiceSpec, ...rows: readonly RowWrite[]) {
    const world = stateWorld();
    world.change([...serviceRows('s', spec), ...rows]);
    const clock = manualClock(100);
    const feed = new InventoryFeed(world.state, clock);
    world.state.subscribe((changes) => feed.note(changes));
    return { world, feed, place: (groups: readonly WriteGroup[]) => placeWaiting(groups, ['s'], world.state, feed, clock) };
  }
  const tasksOf = (groups: readonly WriteGroup[]): readonly Task[] =>
    groups.flatMap(({ writes }) =>
      writes.flatMap((write) => (write.kind === 'put' && write.table === 'tasks' ? [write.value as Task] : [])),
    );

  it('writes the node into the task that the plan makes, in its own group, and counts it as there', () => {
    const { place } = begin(reserving(3), ...nodeRows('n1'), ...nodeRows('n2'));
    const groups = [made(waiting('t1', { slot: 1 })), made(waiting('t2', { slot: 2 }))];
    const placed = place(groups);
    assert.deepEqual(
      placed.groups.map(({ writes }) => writes.length),
      [2, 2],
    );
    const tasks = tasksOf(placed.groups);
    assert.deepEqual(tasks.map(({ nodeId }) => nodeId).sort(), ['n1', 'n2']);
    assert.deepEqual(
      tasks.map(({ verdict }) => verdict),
      [1, 2].map(() => ({ state: TaskState.ASSIGNED, message: '', sinceUnixMs: 100 })),
    );
    assert.deepEqual([...placed.assumed].sort(), ['t1', 't2']);
    // Both nodes are full now, though nothing is committed.
    const [third] = tasksOf(place([made(waiting('t3', { slot: 3 }))]).groups);
    assert.equal(third?.nodeId, '');
    assert.match(third.verdict?.message ?? '', /insufficient resources on 2 nodes/);
  });

  it('gives the room back when the state says that the placement came to nothing', () => {
    const { place, feed } = begin(reserving(3), ...nodeRows('n1'));
    assert.deepEqual(place([made(waiting('t1'))]).assumed, ['t1']);
    feed.feedTask('t1');
    const [again] = tasksOf(place([made(waiting('t2'))]).groups);
    assert.equal(again?.nodeId, 'n1');
  });

  it('explains why a task waits, keeps since when, and is silent while the reason stays the same', () => {
    const { place, world } = begin(reserving(8), ...nodeRows('n1'), row('tasks', 't1', waiting('t1')));
    const first = place([]);
    const [write] = first.groups.flatMap(({ writes }) => writes) as readonly (PlannedPut<'tasks'> | undefined)[];
    assert.ok(write);
    assert.equal(write.before, world.state.get('tasks', 't1'));
    const { verdict } = write.value;
    assert.equal(verdict?.state, TaskState.PENDING);
    assert.match(verdict.message, /insufficient resources/);
    assert.equal(verdict.sinceUnixMs, 7);
    assert.deepEqual(first.assumed, []);
    world.change([row('tasks', 't1', write.value)]);
    assert.deepEqual(place([]).groups, []);
    world.change(nodeRows('n2', 16));
    assert.equal(tasksOf(place([]).groups)[0]?.nodeId, 'n2');
  });

  it('takes a waiting task that the plan changes as the plan has it, and once', () => {
    const { place, world } = begin(specOf(), ...nodeRows('n1'), row('tasks', 't1', waiting('t1', { desired: TaskState.READY })));
    const before = world.state.get('tasks', 't1');
    const changed = waiting('t1', { desired: TaskState.RUNNING });
    const group: WriteGroup = {
      ...{ serviceId: 's', requires: [], events: [] },
      writes: [{ kind: 'put', table: 'tasks', id: 't1', value: changed, before }],
    };
    const tasks = tasksOf(place([group]).groups);
    assert.deepEqual(
      tasks.map(({ desired, nodeId }) => ({ desired, nodeId })),
      [{ desired: TaskState.RUNNING, nodeId: 'n1' }],
    );
  });

  it('counts what stays after all on a node that is back, before it places others there', () => {
    const task = TaskSpec.create({ placement: Placement.create({ maxReplicasPerNode: 1 }) });
    const verdict = { state: TaskState.ASSIGNED, message: '', sinceUnixMs: 7 };
    const lost = waiting('t1', { nodeId: 'n1', verdict, lost: true });
    const { place, feed, world } = begin(specOf({ task }), ...nodeRows('n1'), row('tasks', 't1', lost));
    const stays: WriteGroup = {
      ...{ serviceId: 's', requires: [], events: [] },
      writes: [{ kind: 'put', table: 'tasks', id: 't1', value: { ...lost, lost: false }, before: world.state.get('tasks', 't1') }],
    };
    const placed = place([stays, made(waiting('t2', { slot: 2 }))]);
    assert.equal(tasksOf(placed.groups).find(({ id }) => id === 't2')?.nodeId, '');
    assert.deepEqual(placed.assumed, ['t1']);
    // It came to nothing: it is given up still.
    feed.feedTask('t1');
    assert.equal(tasksOf(place([made(waiting('t2', { slot: 2 }))]).groups)[0]?.nodeId, 'n1');
  });

  it('leaves alone what does not wait: placed, told to stop, or deleted by the plan', () => {
    const assigned = waiting('t1', { nodeId: 'n1', verdict: { state: TaskState.ASSIGNED, message: '', sinceUnixMs: 1 } });
    const { place, world } = begin(
      specOf(),
      ...nodeRows('n1'),
      row('tasks', 't1', assigned),
      row('tasks', 't2', waiting('t2', { desired: TaskState.SHUTDOWN })),
      row('tasks', 't4', waiting('t4')),
    );
    const deleted = world.state.get('tasks', 't4') ?? assert.fail();
    const deletion: WriteGroup = { serviceId: 's', writes: [{ kind: 'delete', table: 'tasks', row: deleted }], requires: [], events: [] };
    const groups = [made(waiting('t3', { desired: TaskState.REMOVE })), deletion];
    assert.deepEqual(place(groups), { groups, assumed: [] });
  });

  it('keeps no room any longer for one that the plan gives up while others leave for it', () => {
    const { task } = reserving(2);
    const urgent = specOf({ task: TaskSpec.create({ ...task, placement: Placement.create({ priority: 10 }) }) });
    const verdict = { state: TaskState.ASSIGNED, message: '', sinceUnixMs: 1 };
    const tenant = waiting('low', { serviceId: 'o', nodeId: 'n1', verdict });
    const { place, world } = begin(
      urgent,
      ...nodeRows('n1', 3),
      ...serviceRows('o', reserving(2)),
      row('cluster', '', Cluster.create({ settings: ClusterSettings.create({ preemptionGap: 5 }) })),
      row('tasks', 'low', tenant),
      row('tasks', 't1', waiting('t1')),
    );
    assert.ok(tasksOf(place([]).groups).some(({ id, preempted }) => id === 'low' && preempted !== ''));
    world.change([], [['tasks', 'low']]);
    const deleted = world.state.get('tasks', 't1') ?? assert.fail();
    const deletion: WriteGroup = { serviceId: 's', writes: [{ kind: 'delete', table: 'tasks', row: deleted }], requires: [], events: [] };
    assert.equal(tasksOf(place([deletion, made(waiting('t2'))]).groups)[0]?.nodeId, 'n1');
  });

  it('places a task of a global service on its own node only', () => {
    const { place } = begin(reserving(3), ...nodeRows('n1', 1), ...nodeRows('n2', 8));
    const [task] = tasksOf(place([made(waiting('t1', { slot: 0, nodeId: 'n1' }))]).groups);
    assert.equal(task?.verdict?.state, TaskState.PENDING);
    assert.equal(task.nodeId, 'n1');
  });
});
