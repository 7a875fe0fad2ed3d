import assert from 'node:assert/strict';
import { lostStatuses, mergeStatus, takeBatch } from '../../../manager/dispatcher/status-intake.ts';
import { StatusBatch, Task, TaskState, TaskStatus } from '../../../proto/index.ts';
import { row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const task = (id: string, nodeId: string, fields: Partial<Task> = {}): RowWrite =>
  row('tasks', id, Task.create({ id, nodeId, serviceId: 's', desired: TaskState.RUNNING, ...fields }));
const status = (taskId: string, state: TaskState, fields: Partial<TaskStatus> = {}): TaskStatus =>
  TaskStatus.create({ taskId, state, ...fields });
const stored = (taskId: string, state: TaskState): RowWrite => row('taskStatus', taskId, status(taskId, state));
const batchOf = (...statuses: TaskStatus[]): StatusBatch => StatusBatch.create({ statuses });

describe('status intake', () => {
  it("takes only statuses of the node's own tasks, and names the others", () => {
    const state = stateWith(task('mine', 'n1'), task('theirs', 'n2'));
    const batch = batchOf(
      status('mine', TaskState.RUNNING, { nodeId: 'n9' }),
      status('theirs', TaskState.FAILED),
      status('gone', TaskState.RUNNING),
    );
    const intake = takeBatch(state, 'n1', batch);
    assert.deepEqual(
      intake.accepted.map((each) => [each.taskId, each.nodeId]),
      [['mine', 'n1']],
    );
    assert.deepEqual(intake.foreign, ['theirs']);
    assert.deepEqual(intake.unknown, ['gone']);
  });

  it('refuses what no agent sends', () => {
    const state = stateWith(task('mine', 'n1'));
    for (const bad of [TaskState.NEW, TaskState.ORPHANED, TaskState.REMOVE, 99 as TaskState]) {
      assert.throws(() => takeBatch(state, 'n1', batchOf(status('mine', bad))), { code: 'invalid_argument' });
    }
  });

  it('cuts endless texts', () => {
    const state = stateWith(task('mine', 'n1'));
    const [taken] = takeBatch(state, 'n1', batchOf(status('mine', TaskState.FAILED, { error: 'x'.repeat(100_000) }))).accepted;
    assert.equal(taken?.error.length, 4096);
  });

  it('moves states forward only, and never past a finished one', () => {
    const running = status('a', TaskState.RUNNING);
    assert.equal(mergeStatus(undefined, running), running);
    assert.equal(mergeStatus(status('a', TaskState.STARTING), running), running);
    assert.equal(mergeStatus(running, status('a', TaskState.PREPARING)), undefined);
    assert.equal(mergeStatus(running, status('a', TaskState.RUNNING)), undefined);
    const told = status('a', TaskState.RUNNING, { message: 'healthy' });
    assert.equal(mergeStatus(running, told), told);
    assert.equal(mergeStatus(status('a', TaskState.SHUTDOWN), status('a', TaskState.FAILED)), undefined);
    assert.equal(mergeStatus(status('a', TaskState.FAILED), status('a', TaskState.FAILED, { message: 'again' })), undefined);
  });

  it('finds tasks that the agent had reported and no longer knows', () => {
    const state = stateWith(
      task('known', 'n1'),
      stored('known', TaskState.RUNNING),
      task('lost', 'n1'),
      stored('lost', TaskState.RUNNING),
      task('unwanted', 'n1', { desired: TaskState.SHUTDOWN }),
      stored('unwanted', TaskState.RUNNING),
      task('fresh', 'n1'),
      task('assigned', 'n1'),
      stored('assigned', TaskState.ASSIGNED),
      task('finished', 'n1'),
      stored('finished', TaskState.COMPLETE),
      task('elsewhere', 'n2'),
      stored('elsewhere', TaskState.RUNNING),
    );
    const lost = lostStatuses(state, 'n1', batchOf(status('known', TaskState.RUNNING)), 5);
    assert.deepEqual(
      lost.map((each) => [each.taskId, each.state]),
      [
        ['lost', TaskState.FAILED],
        ['unwanted', TaskState.SHUTDOWN],
      ],
    );
    assert.match(lost[0]?.error ?? '', /lost by the agent/);
  });
});
