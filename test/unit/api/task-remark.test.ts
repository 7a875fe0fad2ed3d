import assert from 'node:assert/strict';
import { remarkOf } from '../../../manager/api/task-remark.ts';
import { seenTask } from '../../../manager/api/task-state.ts';
import { specId } from '../../../manager/state/index.ts';
import { Endpoint, StoredSpec, Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, stateWith } from '../../support/state-rows.ts';

const SINCE_MS = 1_000_000;

function remark(status: Partial<TaskStatus>, afterMs = 5000, task: Partial<Task> = {}): string {
  const value = Task.create({ id: 't', serviceId: 'web', specNumber: 1, slot: 1, nodeId: 'a', desired: TaskState.RUNNING, ...task });
  const spec = specOf({ spec: { ports: [publish(8080, 81)] } });
  const state = stateWith(
    row('specs', specId('web', 1), StoredSpec.create({ serviceId: 'web', number: 1, spec })),
    row('tasks', 't', value),
    row('taskStatus', 't', TaskStatus.create({ taskId: 't', state: TaskState.RUNNING, sinceUnixMs: SINCE_MS, ...status })),
  );
  return remarkOf(state, value, seenTask(state, value), SINCE_MS + afterMs);
}

describe('the remark on a task', () => {
  it('says on which port a running task does not accept connections, once that has lasted', () => {
    assert.equal(remark({}), 'waiting until it accepts connections on port 81');
    assert.equal(remark({}, 1000), '');
    assert.equal(remark({ endpoints: [Endpoint.create({ targetPort: 81, ready: true })] }), '');
  });

  it('passes on what holds up a task that starts, but not what every task says', () => {
    assert.equal(remark({ state: TaskState.STARTING, message: 'unhealthy so far: exit code 1' }), 'unhealthy so far: exit code 1');
    assert.equal(remark({ message: 'stopping: unhealthy: exit code 1' }), 'stopping: unhealthy: exit code 1');
    assert.equal(remark({ state: TaskState.STARTING, message: 'starting' }), '');
  });

  it('leaves tasks alone that failed, drain or shall stop', () => {
    assert.equal(remark({ state: TaskState.FAILED, error: 'exit code 1' }), '');
    assert.equal(remark({}, 5000, { drain: true }), '');
    assert.equal(remark({}, 5000, { desired: TaskState.SHUTDOWN }), '');
  });
});
