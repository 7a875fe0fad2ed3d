import assert from 'node:assert/strict';
import { taskView } from '../../../manager/api/task-view.ts';
import { Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { row, stateWith } from '../../support/state-rows.ts';

/** As it is shown, of a task that the leader wants in `desired` and its node says is in `state`. */
function shown(desired: TaskState, state: TaskState): TaskState {
  const view = stateWith(
    row('tasks', 't', Task.create({ id: 't', serviceId: 'web', slot: 1, nodeId: 'a', desired })),
    row('taskStatus', 't', TaskStatus.create({ taskId: 't', state })),
  );
  return taskView(view, view.get('tasks', 't') ?? assert.fail(), 0).desired;
}

describe('a task as users see it', () => {
  it('is to be shut down once it has ended, for it does not run again, but for a job that it has completed', () => {
    assert.equal(shown(TaskState.RUNNING, TaskState.RUNNING), TaskState.RUNNING);
    assert.equal(shown(TaskState.RUNNING, TaskState.COMPLETE), TaskState.SHUTDOWN);
    assert.equal(shown(TaskState.READY, TaskState.REJECTED), TaskState.SHUTDOWN);
    assert.equal(shown(TaskState.COMPLETE, TaskState.COMPLETE), TaskState.COMPLETE);
    assert.equal(shown(TaskState.COMPLETE, TaskState.FAILED), TaskState.SHUTDOWN);
    assert.equal(shown(TaskState.REMOVE, TaskState.SHUTDOWN), TaskState.REMOVE);
  });
});
