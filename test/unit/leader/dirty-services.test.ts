import assert from 'node:assert/strict';
import { DirtyServices } from '../../../manager/leader/dirty-services.ts';
import {
  Cluster,
  Event,
  Node,
  NodeDescription,
  NodeState,
  NodeStatus,
  RouteAcks,
  Service,
  ServiceStatus,
  Slot,
  StoredSpec,
  Task,
  TaskState,
  TaskStatus,
} from '../../../proto/index.ts';
import { row, type RowWrite } from '../../support/state-rows.ts';
import { type StateWorld, stateWorld } from '../../support/state-world.ts';

const IDLE = (): boolean => false;
const service = (id: string): RowWrite => row('services', id, Service.create({ id, name: id }));
const task = (id: string, serviceId: string, fields: Partial<Task> = {}): RowWrite =>
  row('tasks', id, Task.create({ id, serviceId, desired: TaskState.RUNNING, ...fields }));
const nodeStatus = (fields: Partial<NodeStatus>): RowWrite => row('nodeStatus', 'n', NodeStatus.create({ nodeId: 'n', ...fields }));

describe('dirty services', () => {
  let world: StateWorld;
  let dirty: DirtyServices;

  /** All is clean; what comes from here on marks. */
  function begin(...rows: readonly RowWrite[]): void {
    world = stateWorld();
    world.change([...rows]);
    dirty = new DirtyServices(world.state);
    world.state.subscribe((changes) => dirty.note(changes));
    dirty.take(IDLE);
  }
  const taken = (): string[] => [...dirty.take(IDLE)].sort();

  it('are all at first: those with a service row, and those of which only remains are left', () => {
    world = stateWorld();
    world.change([
      service('a'),
      task('t', 'b'),
      row('specs', 'c/1', StoredSpec.create({ serviceId: 'c', number: 1 })),
      row('serviceStatus', 'd', ServiceStatus.create({ serviceId: 'd' })),
    ]);
    dirty = new DirtyServices(world.state);
    assert.ok(dirty.hasWork(IDLE));
    assert.deepEqual(taken(), ['a', 'b', 'c', 'd']);
    assert.ok(!dirty.hasWork(IDLE));
    assert.deepEqual(taken(), []);
  });

  it('are those whose own rows, tasks or slots change, and no others', () => {
    begin(service('a'), service('b'), task('ta', 'a'), task('tb', 'b'));
    const cases: readonly (readonly [string, RowWrite])[] = [
      ['services', service('a')],
      ['specs', row('specs', 'a/2', StoredSpec.create({ serviceId: 'a', number: 2 }))],
      ['service-status', row('serviceStatus', 'a', ServiceStatus.create({ serviceId: 'a', activeSpecNumber: 1 }))],
      ['slots', row('slots', 'a/3', Slot.create({ taskId: 'ta' }))],
      ['tasks', task('ta', 'a', { desired: TaskState.SHUTDOWN })],
      ['task-status', row('taskStatus', 'ta', TaskStatus.create({ taskId: 'ta', state: TaskState.FAILED }))],
    ];
    for (const [what, change] of cases) {
      world.change([change]);
      assert.deepEqual(taken(), ['a'], what);
    }
    world.change([], [['tasks', 'tb']]);
    assert.deepEqual(taken(), ['b'], 'a task that is gone');
  });

  it('are all of them when a node or the cluster changes in what matters to tasks', () => {
    begin(service('a'), service('b'));
    const node = { state: NodeState.NODE_READY, description: NodeDescription.create({ hostname: 'h' }) };
    const cases: readonly (readonly [string, RowWrite])[] = [
      ['node row', row('nodes', 'n', Node.create({ id: 'n' }))],
      ['first status', nodeStatus(node)],
      ['down', nodeStatus({ ...node, state: NodeState.NODE_DOWN })],
      ['other description', nodeStatus({ ...node, state: NodeState.NODE_DOWN, description: NodeDescription.create({ hostname: 'i' }) })],
      ['settings', row('cluster', '', Cluster.create({ id: 'c' }))],
    ];
    for (const [what, change] of cases) {
      world.change([change]);
      assert.deepEqual(taken(), ['a', 'b'], what);
    }
  });

  it('are only those that drain when a mesh acknowledges or is found unready', () => {
    begin(service('a'), service('b'), task('drains', 'a', { drain: true }), task('runs', 'b'), nodeStatus({ state: NodeState.NODE_READY }));
    const acks = row('routeAcks', 'm', RouteAcks.create({}));
    world.change([acks]);
    assert.deepEqual(taken(), ['a']);
    world.change([nodeStatus({ state: NodeState.NODE_READY, meshUnready: true })]);
    assert.deepEqual(taken(), ['a']);
    world.change([task('runs', 'b', { drain: true })]);
    taken();
    world.change([acks]);
    assert.deepEqual(taken(), ['a', 'b'], 'one that began to drain');
    world.change([task('drains', 'a', { drain: true, desired: TaskState.SHUTDOWN })], [['tasks', 'runs']]);
    taken();
    world.change([acks]);
    assert.deepEqual(taken(), [], 'none that has been told to stop or is gone');
    world.change([task('one', 'a', { drain: true }), task('other', 'a', { drain: true })]);
    world.change([], [['tasks', 'one']]);
    taken();
    world.change([acks]);
    assert.deepEqual(taken(), ['a'], 'one of two is gone');
  });

  it('are those with a task that waits for a node when a task ends anywhere', () => {
    const verdict = { state: TaskState.PENDING, message: 'no suitable node', sinceUnixMs: 0 };
    begin(
      service('a'),
      service('b'),
      task('waits', 'a', { verdict }),
      task('runs', 'b', { nodeId: 'n' }),
      task('other', 'b', { nodeId: 'n' }),
    );
    const status = (id: string, state: TaskState): RowWrite => row('taskStatus', id, TaskStatus.create({ taskId: id, nodeId: 'n', state }));
    world.change([status('runs', TaskState.RUNNING)]);
    assert.deepEqual(taken(), ['b']);
    world.change([status('runs', TaskState.FAILED)]);
    assert.deepEqual(taken(), ['a', 'b']);
    world.change([], [['tasks', 'other']]);
    assert.deepEqual(taken(), ['a', 'b']);
    world.change([task('waits', 'a', { nodeId: 'n', verdict: { ...verdict, state: TaskState.ASSIGNED } })], [['tasks', 'runs']]);
    assert.deepEqual(taken(), ['a', 'b']);
    world.change([task('more', 'b')], [['taskStatus', 'runs']]);
    taken();
    world.change([status('more', TaskState.COMPLETE)]);
    assert.deepEqual(taken(), ['b'], 'nobody waits any more');
  });

  it('are not marked by what concerns no service', () => {
    begin(service('a'));
    world.change([
      row('events', 'e', { tasks: [], events: [Event.create({})] }),
      row('byName', 'service/x', { objectId: 'x' }),
      row('routeFloor', '', { objectId: '' }),
    ]);
    assert.ok(!dirty.hasWork(IDLE));
    assert.deepEqual(taken(), []);
  });

  it('stay dirty while they are busy', () => {
    begin(service('a'), service('b'));
    dirty.mark('a');
    dirty.mark('b');
    const isBusy = (id: string): boolean => id === 'a';
    assert.deepEqual(dirty.take(isBusy), ['b']);
    assert.ok(!dirty.hasWork(isBusy));
    assert.ok(dirty.hasWork(IDLE));
    dirty.markAll();
    assert.deepEqual(dirty.take(isBusy), ['b']);
    assert.deepEqual(taken(), ['a']);
  });
});
