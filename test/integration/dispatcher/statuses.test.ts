import assert from 'node:assert/strict';
import { NodeSession, TaskState, TaskStatus } from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { dispatcherBench } from '../../support/dispatcher-bench.ts';
import type { DispatcherManager } from '../../support/dispatcher-manager.ts';
import { specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

const web = serviceRows('s', specOf());
const stateOf = (manager: DispatcherManager, taskId: string): TaskState | undefined => manager.state.get('taskStatus', taskId)?.value.state;
const untilState = (manager: DispatcherManager, taskId: string, state: TaskState): Promise<void> =>
  until(
    () => stateOf(manager, taskId) === state,
    () => `task ${taskId} in state ${state}; it is in ${stateOf(manager, taskId) ?? 'none'}`,
  );

describe('dispatcher: statuses', () => {
  const bench = dispatcherBench();
  afterEach(() => bench.stop());

  it('are written for the own tasks, only ever forward, also when they come faster than they are written', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    await manager.write(...web, taskRow('a', 's', agent.nodeId()), taskRow('b', 's', agent.nodeId()));
    await until(() => manager.state.get('tasks', 'b') !== undefined, 'the tasks are known');
    const seen: TaskState[] = [];
    manager.state.subscribe((changes) => {
      for (const change of changes)
        if (change.table === 'taskStatus' && change.id === 'a') seen.push(change.after?.value.state ?? TaskState.NEW);
    });
    for (const state of [TaskState.ACCEPTED, TaskState.RUNNING, TaskState.PREPARING, TaskState.FAILED, TaskState.RUNNING])
      agent.report('a', state);
    agent.report('b', TaskState.RUNNING, { containerId: 'c1' });
    await untilState(manager, 'b', TaskState.RUNNING);
    await untilState(manager, 'a', TaskState.FAILED);
    assert.deepEqual(
      seen,
      [...seen].sort((x, y) => x - y),
    );
    assert.equal(manager.state.get('taskStatus', 'b')?.value.nodeId, agent.nodeId());
  });

  it("of other nodes' tasks, or of none, are refused and logged; the session and everybody else go on", async () => {
    const manager = await bench.start(['m1']);
    const liar = await bench.joined(manager);
    const honest = await bench.joined(manager);
    await manager.write(...web, taskRow('a', 's', liar.nodeId()), taskRow('b', 's', honest.nodeId()));
    await until(() => manager.state.get('tasks', 'b') !== undefined, 'the tasks are known');
    liar.report('b', TaskState.FAILED);
    liar.report('nowhere', TaskState.RUNNING);
    liar.report('a', TaskState.RUNNING);
    honest.report('b', TaskState.RUNNING);
    await untilState(manager, 'a', TaskState.RUNNING);
    await untilState(manager, 'b', TaskState.RUNNING);
    assert.equal(manager.state.get('taskStatus', 'nowhere'), undefined);
    assert.equal(liar.ended(), undefined);
    assert.equal(manager.lines.filter((line) => line.message.includes('not its own')).length, 2);
  });

  it('that no agent reports end that stream alone', async () => {
    const manager = await bench.start(['m1']);
    const bad = await bench.joined(manager);
    const good = await bench.joined(manager);
    bad.report('x', TaskState.ORPHANED);
    assert.equal(await bench.endOf(bad), 'invalid_argument');
    const answers = good.answers().length;
    await until(() => good.answers().length > answers, 'the other goes on');
  });

  it('make tasks failed that the agent knew once and does not know any longer', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    const id = agent.nodeId();
    await manager.write(
      ...web,
      taskRow('known', 's', id),
      row('taskStatus', 'known', runningStatus('known', id)),
      taskRow('lost', 's', id),
      row('taskStatus', 'lost', runningStatus('lost', id)),
      taskRow('new', 's', id),
    );
    await until(() => manager.state.get('tasks', 'new') !== undefined, 'the tasks are known');
    const known = TaskStatus.create({ taskId: 'known', state: TaskState.RUNNING });
    agent.send({ case: 'statuses', value: { statuses: [known], complete: true } });
    await untilState(manager, 'lost', TaskState.FAILED);
    assert.match(manager.state.get('taskStatus', 'lost')?.value.error ?? '', /lost by the agent/);
    assert.equal(stateOf(manager, 'known'), TaskState.RUNNING);
    assert.equal(stateOf(manager, 'new'), undefined);
  });

  it('of a session that was taken over elsewhere are not written, though this manager has not heard of it', async () => {
    const manager = await bench.start(['m1', 'm2']);
    const agent = await bench.joined(manager);
    const other = await bench.joined(manager);
    const id = agent.nodeId();
    await manager.write(...web, taskRow('a', 's', id), taskRow('b', 's', other.nodeId()));
    await until(() => manager.state.get('tasks', 'b') !== undefined, 'the tasks are known');
    manager.holdWatch();
    await manager.write(row('sessions', id, NodeSession.create({ nodeId: id, managerId: 'm2', nonce: 'other', bootId: 'boot-1' })));
    // Both in one transaction, most likely: the other node's status is written all the same, and at once.
    agent.report('a', TaskState.RUNNING);
    other.report('b', TaskState.RUNNING);
    await untilState(bench.manager(1), 'b', TaskState.RUNNING);
    assert.equal(stateOf(bench.manager(1), 'a'), undefined);
    manager.releaseWatch();
    assert.equal(await bench.endOf(agent), 'failed_precondition');
    assert.equal(stateOf(manager, 'a'), undefined);
  });

  it('of many tasks and nodes share transactions', async () => {
    const manager = await bench.start(['m1']);
    const agents = await Promise.all(Array.from({ length: 4 }, () => bench.joined(manager)));
    const tasks = agents.flatMap((agent, i) => Array.from({ length: 25 }, (_, j) => ({ agent, taskId: `t${i}-${j}` })));
    await manager.write(...web);
    for (const agent of agents) {
      await manager.write(...tasks.filter((each) => each.agent === agent).map((each) => taskRow(each.taskId, 's', agent.nodeId())));
    }
    await until(() => manager.state.count('tasks') === 100, 'the tasks are known');
    const { revision } = await manager.store.snapshot('');
    for (const state of [TaskState.ACCEPTED, TaskState.PREPARING, TaskState.READY, TaskState.STARTING, TaskState.RUNNING]) {
      for (const { agent, taskId } of tasks) agent.report(taskId, state);
    }
    await until(() => tasks.every(({ taskId }) => stateOf(manager, taskId) === TaskState.RUNNING), 'all run');
    const written = (await manager.store.snapshot('')).revision - revision;
    assert.ok(written < 250, `${written} transactions for 500 statuses`);
  });
});
