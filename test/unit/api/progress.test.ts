import assert from 'node:assert/strict';
import { progressOf } from '../../../manager/api/progress-view.ts';
import { type ClusterState, specId } from '../../../manager/state/index.ts';
import {
  Endpoint,
  ManagerLiveness,
  Node,
  NodeDescription,
  NodeSpec,
  NodeState,
  NodeStatus,
  Placement,
  Service,
  ServiceMode,
  type ServiceSpec,
  ServiceStatus,
  StoredSpec,
  Task,
  TaskState,
  TaskStatus,
  TaskVerdict,
  UpdateState,
  UpdateStatus,
} from '../../../proto/index.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { deleteRow, putRows, row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const ID = 'web-id';

function service(specNumber: number): RowWrite {
  return row('services', ID, Service.create({ id: ID, name: 'web', specNumber }));
}

function spec(number: number, value: ServiceSpec): RowWrite {
  return row('specs', specId(ID, number), StoredSpec.create({ serviceId: ID, number, spec: value }));
}

/** What the leader writes once it has looked at the service. */
function active(number: number, update?: UpdateState): RowWrite {
  const status = update === undefined ? undefined : UpdateStatus.create({ state: update });
  return row('serviceStatus', ID, ServiceStatus.create({ serviceId: ID, activeSpecNumber: number, update: status }));
}

function node(id: string, state: NodeState = NodeState.NODE_READY): RowWrite {
  const description = NodeDescription.create({ hostname: `host-${id}` });
  return (builder) => {
    row('nodes', id, Node.create({ id, spec: NodeSpec.create({}) }))(builder);
    row('nodeStatus', id, NodeStatus.create({ nodeId: id, state, description }))(builder);
  };
}

function task(slot: number, more: Partial<Task> = {}): RowWrite {
  const id = more.id ?? `t${slot}`;
  return row('tasks', id, Task.create({ id, serviceId: ID, specNumber: 1, slot, nodeId: 'a', desired: TaskState.RUNNING, ...more }));
}

function status(taskId: string, state: TaskState, more: Partial<TaskStatus> = {}): RowWrite {
  return row('taskStatus', taskId, TaskStatus.create({ taskId, state, ...more }));
}

function running(slot: number): RowWrite[] {
  return [task(slot), status(`t${slot}`, TaskState.RUNNING)];
}

/** Two replicas, the leader has looked, both run. */
function settled(changes: Partial<ServiceSpec> = {}): ClusterState {
  const value = specOf({ spec: { replicas: 2, ...changes } });
  return stateWith(service(1), spec(1, value), active(1), node('a'), ...running(1), ...running(2));
}

function waitingOf(state: ClusterState): string[] {
  return progressOf(state, ID).waiting.map((slot) => `${slot.slot}: ${slot.message}`);
}

describe('progress', () => {
  it('is at its end when every slot runs by the active spec', () => {
    const progress = progressOf(settled(), ID);
    assert.deepEqual([progress.desired, progress.running, progress.converged], [2, 2, true]);
    assert.equal(progress.slots.length, 2);
  });

  it('waits for the leader to have seen the newest spec', () => {
    const state = settled();
    putRows(state, service(2), spec(2, specOf({ spec: { replicas: 2, labels: { a: 'b' } } })));
    assert.equal(progressOf(state, ID).converged, false);
    putRows(state, active(2));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('waits for slots without a task, and says when nobody leads', () => {
    const state = settled({ replicas: 3 });
    assert.deepEqual(waitingOf(state), ['3: no manager leads at present']);
    putRows(state, row('leader', '', ManagerLiveness.create({})));
    assert.deepEqual(waitingOf(state), ['3: waiting for its task to be made']);
  });

  it("passes on the scheduler's explanation, the most telling first", () => {
    const state = settled({ replicas: 4 });
    const message = 'no suitable node (insufficient resources on 1 node)';
    const verdict = TaskVerdict.create({ state: TaskState.PENDING, message });
    putRows(state, task(3), status('t3', TaskState.PREPARING, { message: 'pulling' }), task(4, { nodeId: '', verdict }));
    assert.deepEqual(waitingOf(state), [`4: ${message}`, '3: pulling']);
  });

  it('tells what the earlier task of the slot failed with', () => {
    const state = settled();
    putRows(
      state,
      task(2, { desired: TaskState.SHUTDOWN }),
      status('t2', TaskState.FAILED, { error: 'exit code 3' }),
      task(2, { id: 'next', desired: TaskState.READY, replaces: 't2' }),
      status('next', TaskState.READY),
    );
    assert.deepEqual(waitingOf(state), ['2: waits out its restart delay; its last task failed: exit code 3']);
  });

  it('counts a task with ingress ports only when all of them accept connections', () => {
    const state = settled({ ports: [publish(8080, 80), publish(8081, 81)] });
    assert.equal(progressOf(state, ID).running, 0);
    const endpoints = [Endpoint.create({ targetPort: 80, ready: true }), Endpoint.create({ targetPort: 81 })];
    putRows(state, status('t1', TaskState.RUNNING, { endpoints }), status('t2', TaskState.RUNNING, { endpoints }));
    assert.deepEqual(waitingOf(state), [
      '1: waiting until it accepts connections on port 81',
      '2: waiting until it accepts connections on port 81',
    ]);
    const ready = endpoints.map((endpoint) => ({ ...endpoint, ready: true }));
    putRows(state, status('t1', TaskState.RUNNING, { endpoints: ready }), status('t2', TaskState.RUNNING, { endpoints: ready }));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('waits for readiness probes, and passes on what they say', () => {
    const state = settled();
    const readiness = { ready: false, reason: 'GET http://10.0.0.2:80/: 503 Service Unavailable', sinceUnixMs: 1 };
    putRows(state, status('t1', TaskState.RUNNING, { readiness }));
    assert.deepEqual(waitingOf(state), ['1: not ready: GET http://10.0.0.2:80/: 503 Service Unavailable']);
    putRows(state, status('t1', TaskState.RUNNING, { readiness: { ...readiness, ready: true, reason: '' } }));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('waits for tasks of an earlier spec while they are updated, and then leaves it to the leader which are', () => {
    const state = settled();
    const newer = [service(2), spec(2, specOf({ spec: { replicas: 2 }, container: { image: 'nginx:1.28' } }))];
    putRows(state, ...newer, active(2, UpdateState.UPDATING));
    const message = 'runs the earlier version until it is updated';
    assert.deepEqual(waitingOf(state), [`1: ${message}`, `2: ${message}`]);
    assert.deepEqual([progressOf(state, ID).running, progressOf(state, ID).earlier], [0, 2]);
    putRows(state, task(2, { id: 'next', specNumber: 2, nodeId: '', verdict: TaskVerdict.create({ state: TaskState.PENDING }) }));
    assert.deepEqual([progressOf(state, ID).running, progressOf(state, ID).earlier], [0, 2]);
    deleteRow(state, 'tasks', 'next');
    putRows(state, task(1, { specNumber: 2 }), active(2, UpdateState.UPDATE_PAUSED));
    assert.deepEqual(waitingOf(state), [`2: ${message}`]);
    putRows(state, task(2, { specNumber: 2 }), active(2, UpdateState.UPDATE_COMPLETED));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('does not wait for tasks of an earlier spec where the change concerns no task', () => {
    const state = settled();
    const placement = Placement.create({ constraints: ['node.role==worker'] });
    putRows(state, service(2), spec(2, specOf({ spec: { replicas: 2 }, task: { placement } })));
    assert.deepEqual([progressOf(state, ID).running, progressOf(state, ID).converged], [2, false]);
    putRows(state, active(2));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('waits while an update is under way or paused', () => {
    for (const update of [UpdateState.UPDATING, UpdateState.UPDATE_PAUSED]) {
      const state = settled();
      putRows(state, active(1, update));
      const progress = progressOf(state, ID);
      assert.deepEqual([progress.running, progress.converged, progress.update?.state], [2, false, update]);
    }
  });

  it('waits for surplus tasks to be told to stop, not for them to have stopped', () => {
    const state = settled();
    putRows(state, ...running(3), task(4, { drain: true }), status('t4', TaskState.RUNNING));
    const progress = progressOf(state, ID);
    assert.deepEqual([progress.desired, progress.running, progress.converged], [2, 2, false]);
    assert.deepEqual(waitingOf(state), [
      '3: is no longer wanted and is about to be stopped',
      '4: is draining its connections before it is stopped',
    ]);
    putRows(state, task(3, { desired: TaskState.SHUTDOWN }), task(4, { desired: TaskState.SHUTDOWN, drain: true }));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('shows surplus tasks until they have stopped', () => {
    const state = settled();
    const surplus = (): string[] =>
      progressOf(state, ID)
        .slots.filter((slot) => slot.surplus)
        .map((slot) => `${slot.slot}: ${slot.message}`);
    putRows(state, task(3, { desired: TaskState.SHUTDOWN }), status('t3', TaskState.RUNNING));
    assert.deepEqual(surplus(), ['3: is no longer wanted and is stopping']);
    putRows(state, status('t3', TaskState.SHUTDOWN));
    assert.deepEqual(surplus(), []);
  });

  it('says nothing of what an earlier spec failed with, unless the newer one runs the same', () => {
    const state = settled();
    putRows(
      state,
      task(2, { desired: TaskState.SHUTDOWN }),
      status('t2', TaskState.REJECTED, { error: 'no log driver nosuch' }),
      task(2, { id: 'next', specNumber: 2, replaces: 't2' }),
      status('next', TaskState.PREPARING, { message: 'pulling' }),
      service(2),
      active(2),
      spec(2, specOf({ spec: { replicas: 2 }, container: { image: 'other' } })),
    );
    assert.deepEqual(waitingOf(state), ['2: pulling']);
    putRows(state, spec(2, specOf({ spec: { replicas: 2, labels: { a: 'b' } } })));
    assert.deepEqual(waitingOf(state), ['2: pulling; its last task failed: no log driver nosuch']);
  });

  it('says of a slot that runs again that its last task failed since the change', () => {
    const state = settled();
    putRows(state, task(2, { desired: TaskState.SHUTDOWN }), status('t2', TaskState.FAILED, { error: 'exit code 3' }));
    putRows(state, task(2, { id: 'next', replaces: 't2' }), status('next', TaskState.RUNNING));
    const failedAt = state.get('taskStatus', 't2')?.modRevision ?? 0;
    const messages = (sinceRevision: number): string[] => progressOf(state, ID, sinceRevision).slots.map((slot) => slot.message);
    assert.deepEqual(messages(failedAt - 1), ['', 'its last task failed: exit code 3']);
    assert.deepEqual(messages(failedAt), ['', '']);
    assert.equal(progressOf(state, ID, failedAt - 1).converged, true);
  });

  it('takes whichever slots are left after a scale down', () => {
    const value = specOf({ spec: { replicas: 2 } });
    const state = stateWith(service(1), spec(1, value), active(1), node('a'), ...running(4), ...running(9));
    const progress = progressOf(state, ID);
    assert.deepEqual([progress.desired, progress.running, progress.converged], [2, 2, true]);
    assert.deepEqual(
      progress.slots.map((slot) => slot.slot),
      ['4', '9'],
    );
  });

  it('waits while two tasks run in one slot', () => {
    const state = settled();
    putRows(state, task(2, { id: 'second' }), status('second', TaskState.RUNNING));
    assert.deepEqual(waitingOf(state), ['2: the task that it replaces is still running']);
  });

  it('does not count tasks on nodes that are away, and passes over lost ones', () => {
    const state = settled();
    putRows(state, node('a', NodeState.NODE_DOWN));
    assert.deepEqual(waitingOf(state), ['1: its node does not answer', '2: its node does not answer']);
    putRows(state, node('b'), ...[1, 2].flatMap((slot) => [task(slot, { lost: true }), task(slot, { id: `n${slot}`, nodeId: 'b' })]));
    putRows(state, status('n1', TaskState.RUNNING), status('n2', TaskState.RUNNING));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('of a global service goes by node', () => {
    const value = specOf({ spec: { mode: ServiceMode.GLOBAL, replicas: 0 } });
    const state = stateWith(service(1), spec(1, value), active(1), node('a'), node('b'));
    assert.deepEqual([progressOf(state, ID).desired, progressOf(state, ID).converged], [2, false]);
    putRows(state, task(0, { id: 'on-a' }), status('on-a', TaskState.RUNNING), task(0, { id: 'on-b', nodeId: 'b' }));
    putRows(state, status('on-b', TaskState.STARTING, { message: 'starting' }));
    assert.deepEqual(waitingOf(state), ['host-b: starting']);
    putRows(state, status('on-b', TaskState.RUNNING));
    assert.equal(progressOf(state, ID).converged, true);
  });

  it('with zero replicas is at its end at once', () => {
    assert.equal(progressOf(stateWith(service(1), spec(1, specOf({ spec: { replicas: 0 } })), active(1)), ID).converged, true);
  });

  it('says that the service is gone', () => {
    const state = settled();
    deleteRow(state, 'services', ID);
    const progress = progressOf(state, ID);
    assert.deepEqual([progress.removed, progress.converged], [true, false]);
  });
});
