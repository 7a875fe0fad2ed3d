import assert from 'node:assert/strict';
import { endReason } from '../../../manager/orchestrator/task-events.ts';
import { TaskState, TaskStatus } from '../../../proto/index.ts';

describe('the reason for the end of a task', () => {
  const reasonOf = (error: string, exitCode: number | undefined, state: TaskState = TaskState.FAILED): string =>
    endReason({ status: TaskStatus.create({ state, error, exitCode }) });

  it('names the exit code once, also where the node says nothing else', () => {
    assert.equal(reasonOf('exit code 3', 3), 'failed: exit code 3');
    assert.equal(reasonOf('exit code 137 (killed for memory)', 137), 'failed: exit code 137 (killed for memory)');
    assert.equal(reasonOf('unhealthy: no answer', 137), 'failed: exit code 137: unhealthy: no answer');
  });

  it('needs no exit code', () => {
    assert.equal(reasonOf('no such image', undefined, TaskState.REJECTED), 'was rejected: no such image');
    assert.equal(endReason({ status: undefined }), 'ended');
  });
});
