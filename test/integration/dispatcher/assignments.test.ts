import assert from 'node:assert/strict';
import { keyOf } from '../../../manager/state/index.ts';
import { type Assignment, TaskState } from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { dispatcherBench } from '../../support/dispatcher-bench.ts';
import { CLUSTER_ID, type DispatcherManager } from '../../support/dispatcher-manager.ts';
import type { FakeAgent } from '../../support/fake-agent.ts';
import { specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

const web = serviceRows('s', specOf());
const tasksOf = (agent: FakeAgent): string[] => [...agent.book().tasks.keys()].sort();
const untilTasks = (agent: FakeAgent, expected: readonly string[]): Promise<void> =>
  until(
    () => agent.book().epoch !== undefined && tasksOf(agent).join() === expected.join(),
    () => `tasks ${expected.join()}; there are ${tasksOf(agent).join()}`,
  );
const remove = (manager: DispatcherManager, taskId: string): Promise<unknown> =>
  manager.store.commit({ compare: [], ops: [{ type: 'delete', key: keyOf('tasks', taskId) }] });

describe('dispatcher: assignments', () => {
  const bench = dispatcherBench();
  afterEach(() => bench.stop());

  it('sends the complete set once, then increments: new tasks, changes, removals, and nothing of other nodes', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    const id = agent.nodeId();
    await untilTasks(agent, []);
    await manager.write(...web, taskRow('a', 's', id), taskRow('b', 's', id), taskRow('x', 's', 'another-node'));
    await untilTasks(agent, ['a', 'b']);
    assert.equal(agent.book().tasks.get('a')?.spec?.container?.image, 'nginx:1.27');
    await manager.write(taskRow('a', 's', id, { desired: TaskState.SHUTDOWN }));
    await until(() => agent.book().tasks.get('a')?.desired === TaskState.SHUTDOWN, 'a is to stop');
    await remove(manager, 'b');
    await untilTasks(agent, ['a']);
    assert.equal(agent.received.filter((message) => message.case === 'assignments').length, 1);
    assert.deepEqual(agent.refused, []);
  });

  it('says nothing about changes that do not concern the agent', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    await manager.write(...web, taskRow('a', 's', agent.nodeId()));
    await untilTasks(agent, ['a']);
    const count = (): number => agent.received.filter((message) => message.case === 'assignmentDelta').length;
    const before = count();
    await manager.write(taskRow('a', 's', agent.nodeId(), { drain: true }));
    await manager.write(taskRow('b', 's', agent.nodeId()));
    await untilTasks(agent, ['a', 'b']);
    assert.equal(count(), before + 1);
  });

  it('sends the whole set again to an agent that found a gap', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    await manager.write(...web, taskRow('a', 's', agent.nodeId()));
    await untilTasks(agent, ['a']);
    agent.send({ case: 'resync', value: { assignments: true, routes: true } });
    const count = (kind: string): number => agent.received.filter((message) => message.case === kind).length;
    await until(() => count('assignments') === 2 && count('routes') === 2, 'both came again');
    assert.deepEqual(agent.refused, []);
  });

  it('takes a task out when it is finished and to be removed', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    const id = agent.nodeId();
    await manager.write(...web, taskRow('a', 's', id, { desired: TaskState.REMOVE }), row('taskStatus', 'a', runningStatus('a', id)));
    await untilTasks(agent, ['a']);
    agent.report('a', TaskState.SHUTDOWN);
    await untilTasks(agent, []);
  });

  it('rejects a task whose templates cannot be filled in, with the reason, and sends the others', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager);
    const bad = serviceRows('bad', specOf({ spec: { name: 'bad' }, container: { env: ['A={{.Nope}}'] } }));
    await manager.write(...web, ...bad, taskRow('a', 's', agent.nodeId()), taskRow('b', 'bad', agent.nodeId()));
    await until(() => manager.state.get('taskStatus', 'b')?.value.state === TaskState.REJECTED, 'b is rejected');
    assert.match(manager.state.get('taskStatus', 'b')?.value.error ?? '', /template \{\{\.Nope\}\}: unknown/);
    await untilTasks(agent, ['a']);
  });

  it('merges what an agent does not take at once, and brings it up to date when it reads again', async () => {
    const manager = await bench.start(['m1']);
    const agent = await bench.joined(manager, { heartbeatMs: 20 });
    const id = agent.nodeId();
    await untilTasks(agent, []);
    agent.pause();
    const large = specOf({ container: { env: [`A=${'x'.repeat(20_000)}`] } });
    await manager.write(...serviceRows('s', large));
    const rounds = 120;
    for (let i = 0; i < rounds; i++)
      await manager.write(taskRow(`t${i}`, 's', id), ...(i > 0 ? [taskRow(`t${i - 1}`, 's', id, { desired: TaskState.SHUTDOWN })] : []));
    await until(() => manager.state.get('tasks', `t${rounds - 1}`) !== undefined, 'the manager has all');
    agent.resume();
    await until(() => agent.book().tasks.size === rounds, 'all tasks came');
    const last = (taskId: string): Assignment | undefined => agent.book().tasks.get(taskId);
    await until(() => last(`t${rounds - 2}`)?.desired === TaskState.SHUTDOWN, 'the newest state came');
    assert.deepEqual(agent.refused, []);
    const deltas = agent.received.filter((message) => message.case === 'assignmentDelta').length;
    assert.ok(deltas < rounds, `${deltas} increments for ${rounds} changes`);
  });

  it('of a manager that lags never take anything from an agent that has seen more', async () => {
    const manager = await bench.start(['m1', 'm2']);
    const lagging = bench.manager(1);
    const first = await bench.joined(manager);
    const id = first.nodeId();
    await manager.write(...web, taskRow('a', 's', id));
    await untilTasks(first, ['a']);
    await until(() => lagging.state.get('tasks', 'a') !== undefined, 'the other manager has it too');
    lagging.holdWatch();
    await manager.write(taskRow('b', 's', id), taskRow('a', 's', id, { desired: TaskState.SHUTDOWN }));
    await untilTasks(first, ['a', 'b']);
    first.close();
    const moved = bench.agent(lagging, {
      register: { nodeId: id, clusterId: CLUSTER_ID },
      book: first.book(),
      table: first.table(),
    });
    // The lagging manager's own answers to others go on; this agent hears nothing until the manager has caught up.
    const other = await bench.joined(manager);
    await until(() => other.answers().length > 10, 'time passes');
    assert.deepEqual(moved.received, []);
    lagging.releaseWatch();
    await moved.untilRegistered();
    await until(() => moved.received.some((message) => message.case === 'assignments'), 'the set came');
    assert.deepEqual(moved.refused, []);
    assert.deepEqual(tasksOf(moved), ['a', 'b']);
    assert.equal(moved.book().tasks.get('a')?.desired, TaskState.SHUTDOWN);
    assert.ok((moved.book().epoch?.revision ?? 0) >= (first.book().epoch?.revision ?? 0));
  });

  it('of a manager that does not catch up are not waited for: the agent is sent elsewhere', async () => {
    const manager = await bench.start(['m1', 'm2'], { settings: { catchUpMs: 200 } });
    const lagging = bench.manager(1);
    const first = await bench.joined(manager);
    await until(() => lagging.state.get('nodes', first.nodeId()) !== undefined, 'the other manager knows the node');
    lagging.holdWatch();
    await manager.write(...web, taskRow('a', 's', first.nodeId()));
    await untilTasks(first, ['a']);
    const moved = bench.agent(lagging, { register: { nodeId: first.nodeId(), clusterId: CLUSTER_ID }, book: first.book() });
    assert.equal(await bench.endOf(moved), 'unavailable');
    assert.match(moved.ended()?.message ?? '', /this manager is behind/);
    assert.equal(first.ended(), undefined);
  });
});
