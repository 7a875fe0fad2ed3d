import assert from 'node:assert/strict';
import { remarkOf } from '../../../manager/api/task-remark.ts';
import { seenTask } from '../../../manager/api/task-state.ts';
import { portId, specId } from '../../../manager/state/index.ts';
import {
  Endpoint,
  HttpClaim,
  NodeStatus,
  PortClaim,
  PortProblem,
  PortProtocol,
  StoredSpec,
  Task,
  TaskState,
  TaskStatus,
} from '../../../proto/index.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const SINCE_MS = 1_000_000;

function remark(status: Partial<TaskStatus>, afterMs = 5000, task: Partial<Task> = {}, rows: readonly RowWrite[] = []): string {
  const value = Task.create({ id: 't', serviceId: 'web', specNumber: 1, slot: 1, nodeId: 'a', desired: TaskState.RUNNING, ...task });
  const spec = specOf({ spec: { ports: [publish(8080, 81)] } });
  const state = stateWith(
    row('specs', specId('web', 1), StoredSpec.create({ serviceId: 'web', number: 1, spec })),
    row('tasks', 't', value),
    row('taskStatus', 't', TaskStatus.create({ taskId: 't', state: TaskState.RUNNING, sinceUnixMs: SINCE_MS, ...status })),
    ...rows,
  );
  return remarkOf(state, value, seenTask(state, value), SINCE_MS + afterMs);
}

describe('the remark on a task', () => {
  it('says on which port a running task does not accept connections, once that has lasted', () => {
    assert.equal(remark({}), 'waiting until it accepts connections on port 81');
    assert.equal(remark({}, 1000), '');
    assert.equal(remark({ endpoints: [Endpoint.create({ targetPort: 81, ready: true })] }), '');
  });

  it('says that a published port could not be opened on its node, though the task serves those that come by others', () => {
    const problem = (publishedPort: number): PortProblem =>
      PortProblem.create({
        protocol: PortProtocol.TCP,
        publishedPort,
        message: `port ${publishedPort} is taken by another program on this node`,
      });
    const rows = [
      row('byPort', portId(PortProtocol.TCP, 8080), PortClaim.create({ http: [HttpClaim.create({ serviceId: 'web' })] })),
      row('byPort', portId(PortProtocol.TCP, 9090), PortClaim.create({ objectId: 'other' })),
      row('nodeStatus', 'a', NodeStatus.create({ nodeId: 'a', portProblems: [problem(8080), problem(9090)] })),
    ];
    const endpoints = [Endpoint.create({ targetPort: 81, ready: true })];
    assert.equal(remark({ endpoints }, 5000, {}, rows), 'not answered on this node: port 8080 is taken by another program on this node');
    assert.equal(remark({ endpoints }, 5000, { nodeId: 'b' }, rows), '');
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
