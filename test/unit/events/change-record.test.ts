import assert from 'node:assert/strict';
import { ChangeRecord, eventsOf } from '../../../manager/events/index.ts';
import { Endpoint, NodeState, NodeStatus, Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { serviceRows } from '../../support/cluster-rows.ts';
import { makeNode } from '../../support/placement.ts';
import { specOf } from '../../support/service-specs.ts';
import { row, stateWith } from '../../support/state-rows.ts';

const TASK = Task.create({ id: 't1', serviceId: 's1', specNumber: 1, slot: 3, desired: TaskState.RUNNING });
const STATE = stateWith(...serviceRows('s1', specOf()), row('tasks', 't1', { ...TASK, nodeId: 'n1' }));

function told(note: (record: ChangeRecord) => void): readonly string[] {
  const record = new ChangeRecord(STATE, 1000);
  note(record);
  const made = record.build();
  return made === undefined
    ? []
    : eventsOf(made).map(({ type, action, objectName, message }) => `${type} ${action} ${objectName} ${message}`.trim());
}

const verdict = (state: TaskState, message = ''): Task['verdict'] => ({ state, message, sinceUnixMs: 1 });

describe('what the writes of a transaction mean for people', () => {
  it('is told of a task from its making to its end, each with its reason', () => {
    const waiting = { ...TASK, verdict: verdict(TaskState.PENDING, 'no suitable node (insufficient resources on 1 node)') };
    const placed = { ...TASK, nodeId: 'n1', verdict: verdict(TaskState.ASSIGNED) };
    assert.deepEqual(
      told((record) => record.noteTask(undefined, waiting)),
      ['task create web.3 waits for a node', 'task pending web.3 no suitable node (insufficient resources on 1 node)'],
    );
    assert.deepEqual(
      told((record) => record.noteTask(waiting, placed)),
      ['task assign web.3'],
    );
    assert.deepEqual(
      told((record) => record.noteTask(placed, { ...placed, drain: true })),
      ['task drain web.3 gets no new connections, and is stopped when those that it has are over'],
    );
    assert.deepEqual(
      told((record) => record.noteTask(placed, { ...placed, lost: true })),
      ['task lost web.3 its node is down'],
    );
    assert.deepEqual(
      told((record) => record.noteTask({ ...placed, lost: true }, placed)),
      ['task found web.3 its node is back'],
    );
    assert.deepEqual(
      told((record) => record.noteTask(placed, { ...placed, desired: TaskState.SHUTDOWN })),
      ['task desired web.3 shall be shutdown from now on'],
    );
    const orphan = { ...placed, verdict: verdict(TaskState.ORPHANED, 'its node was removed from the cluster') };
    assert.deepEqual(
      told((record) => record.noteTask(placed, orphan)),
      ['task state web.3 orphaned: its node was removed from the cluster'],
    );
    assert.deepEqual(
      told((record) => record.noteTask(placed, undefined)),
      ['task remove web.3'],
    );
  });

  it('names tasks as everything else does: those of a job from 0, with their iteration', () => {
    const job = { ...TASK, slot: 1, jobIteration: 4, nodeId: 'n1', verdict: verdict(TaskState.ASSIGNED) };
    const record = new ChangeRecord(STATE, 1000);
    record.noteTask(undefined, job);
    const [event] = eventsOf(record.build() ?? assert.fail('nothing was told'));
    assert.deepEqual([event?.objectName, event?.attributes['iteration']], ['web.0', '4']);
    const preparing = TaskStatus.create({ taskId: 't1', state: TaskState.PREPARING, message: 'preparing' });
    assert.deepEqual(
      told((other) => other.noteTaskStatus(undefined, preparing)),
      ['task state web.3 preparing'],
    );
  });

  it('is told of what its node says, but not of what says nothing new', () => {
    const running = TaskStatus.create({ taskId: 't1', nodeId: 'n1', state: TaskState.RUNNING, message: 'running' });
    const failed = { ...running, state: TaskState.FAILED, exitCode: 137, error: 'killed: out of memory' };
    assert.deepEqual(
      told((record) => record.noteTaskStatus(undefined, running)),
      ['task state web.3 running'],
    );
    assert.deepEqual(
      told((record) => record.noteTaskStatus(running, failed)),
      ['task state web.3 failed: exit code 137: killed: out of memory'],
    );
    assert.deepEqual(
      told((record) => record.noteTaskStatus(running, { ...running, containerId: 'c' })),
      [],
    );
    assert.deepEqual(
      told((record) => record.noteTaskStatus(undefined, { ...running, taskId: 'gone' })),
      [],
    );
  });

  it('is told when what runs becomes ready for traffic, and when it is not any more, each with its reason', () => {
    const readiness = (ready: boolean, reason = ''): TaskStatus['readiness'] => ({ ready, reason, sinceUnixMs: 1 });
    const running = TaskStatus.create({ taskId: 't1', nodeId: 'n1', state: TaskState.RUNNING });
    const waiting = { ...running, readiness: readiness(false, 'its readiness probe has not answered yet') };
    const passing = { ...running, readiness: readiness(true) };
    const refusing = { ...running, readiness: readiness(false, 'HTTP status 503') };
    const change = (before: TaskStatus | undefined, after: TaskStatus): readonly string[] =>
      told((record) => record.noteTaskStatus(before, after));
    assert.deepEqual(change(undefined, waiting), ['task state web.3 running']);
    assert.deepEqual(change(waiting, passing), ['task ready web.3 its readiness probe passes']);
    assert.deepEqual(change(passing, refusing), ['task unready web.3 gets no new traffic: HTTP status 503']);
    // Why it is not ready may change with each try.
    assert.deepEqual(change(refusing, { ...refusing, readiness: readiness(false, 'HTTP status 500') }), []);
    assert.deepEqual(change(refusing, passing), ['task ready web.3 its readiness probe passes']);
    const port = (ready: boolean): Endpoint => Endpoint.create({ targetPort: 80, ready });
    const closed = { ...passing, endpoints: [port(true), port(false)] };
    const open = { ...passing, endpoints: [port(true), port(true)] };
    assert.deepEqual(change(closed, open), ['task ready web.3 its published ports answer']);
    // What is being stopped closes its ports: that is told as its stop.
    const stopping = { ...TASK, nodeId: 'n1', desired: TaskState.SHUTDOWN };
    const stateOfIt = stateWith(...serviceRows('s1', specOf()), row('tasks', 't1', stopping));
    const quiet = new ChangeRecord(stateOfIt, 1000);
    quiet.noteTaskStatus(open, closed);
    assert.equal(quiet.build(), undefined);
    assert.deepEqual(change(passing, { ...passing, state: TaskState.SHUTDOWN, readiness: undefined }), ['task state web.3 shutdown']);
  });

  it('is told of nodes: state, engine, mesh and ports', () => {
    const { status } = makeNode({ id: 'n1' });
    const down = { ...status, state: NodeState.NODE_DOWN, message: 'no heartbeat for 5s' };
    assert.deepEqual(
      told((record) => record.noteNodeStatus(undefined, status)),
      ['node state host-n1 ready'],
    );
    assert.deepEqual(
      told((record) => record.noteNodeStatus(status, down)),
      ['node state host-n1 down: no heartbeat for 5s'],
    );
    const { status: troubled } = makeNode({ id: 'n1', trouble: 'connection refused' });
    assert.deepEqual(
      told((record) => record.noteNodeStatus(status, troubled)),
      ['node engine host-n1 its container engine does not answer: connection refused'],
    );
    assert.deepEqual(
      told((record) => record.noteNodeStatus(troubled, status)),
      ['node engine host-n1 its container engine answers again'],
    );
    assert.deepEqual(
      told((record) => record.noteNodeStatus(status, { ...status, meshUnready: true })),
      ['node mesh_unready host-n1 its mesh does not answer'],
    );
    const problem = { protocol: 0 as const, publishedPort: 80, message: 'port 80 is taken' };
    assert.deepEqual(
      told((record) => record.noteNodeStatus(status, { ...status, portProblems: [problem] })),
      ['node port host-n1 published port 80 is not open: port 80 is taken'],
    );
    assert.deepEqual(
      told((record) => record.noteNodeStatus(status, NodeStatus.create({ ...status, address: '10.0.0.9' }))),
      [],
    );
  });
});
