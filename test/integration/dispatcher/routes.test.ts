import assert from 'node:assert/strict';
import { NodeState, type NodeStatus, PortProblem, type RouteAcks, TargetState, TaskState } from '../../../proto/index.ts';
import { runningStatus, serviceRows, taskRow } from '../../support/cluster-rows.ts';
import { dispatcherBench } from '../../support/dispatcher-bench.ts';
import type { DispatcherManager } from '../../support/dispatcher-manager.ts';
import type { FakeAgent } from '../../support/fake-agent.ts';
import { publish, specOf } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';
import { until } from '../../support/until.ts';

const web = serviceRows('s', specOf({ spec: { ports: [publish(80, 8080)] } }));
const targetsOf = (agent: FakeAgent): string[] =>
  (agent.table()?.ports.get('0/80')?.targets ?? [])
    .map((target) => `${target.taskId}${target.state === TargetState.TARGET_DRAINING ? '*' : ''}`)
    .sort();
const untilTargets = (agent: FakeAgent, expected: string): Promise<void> =>
  until(
    () => targetsOf(agent).join(' ') === expected,
    () => `targets ${expected}; there are ${targetsOf(agent).join(' ')}`,
  );
const acksOf = (manager: DispatcherManager, of: DispatcherManager): RouteAcks | undefined => manager.state.get('routeAcks', of.id)?.value;
const nodeOf = (manager: DispatcherManager, agent: FakeAgent): NodeStatus | undefined =>
  manager.state.get('nodeStatus', agent.nodeId())?.value;

describe('dispatcher: route tables and acknowledgements', () => {
  const bench = dispatcherBench();
  afterEach(() => bench.stop());

  /** A registered, ready agent with running tasks of the published service. */
  const serving = async (manager: DispatcherManager, tasks: readonly string[], acks = true): Promise<FakeAgent> => {
    const agent = await bench.joined(manager, { acks });
    await until(() => nodeOf(manager, agent)?.state === NodeState.NODE_READY, 'the node is ready');
    const id = agent.nodeId();
    await manager.write(...web, ...tasks.flatMap((task) => [taskRow(task, 's', id), row('taskStatus', task, runningStatus(task, id))]));
    await untilTargets(agent, tasks.join(' '));
    return agent;
  };

  it('are the same under the same name on every manager', async () => {
    const manager = await bench.start(['m1', 'm2']);
    const one = await serving(manager, ['a', 'b']);
    const two = await bench.joined(bench.manager(1));
    await untilTargets(two, 'a b');
    await manager.write(taskRow('a', 's', one.nodeId(), { drain: true }));
    await untilTargets(one, 'a* b');
    await untilTargets(two, 'a* b');
    await until(() => one.table()?.epoch.revision === two.table()?.epoch.revision, 'the same epoch');
    assert.deepEqual(one.table()?.epoch, two.table()?.epoch);
    assert.deepEqual([...(one.table()?.ports ?? [])], [...(two.table()?.ports ?? [])]);
    assert.deepEqual([...one.refused, ...two.refused], []);
    assert.equal(one.received.filter((message) => message.case === 'routes').length, 1);
  });

  it('lose the targets of a node that goes down, and get them back with it', async () => {
    const manager = await bench.start(['m1']);
    const one = await serving(manager, ['a']);
    const two = await bench.joined(manager);
    await untilTargets(two, 'a');
    one.beat(0);
    await untilTargets(two, '');
    one.beat(50);
    await untilTargets(two, 'a');
  });

  it('catch up with a stream that took nothing for a while', async () => {
    const manager = await bench.start(['m1']);
    const one = await serving(manager, ['a']);
    const slow = await bench.joined(manager);
    await untilTargets(slow, 'a');
    slow.pause();
    const id = one.nodeId();
    const padding = 'x'.repeat(1000);
    for (let i = 0; i < 200; i++) {
      const status = runningStatus(`t${i}`, id, { message: padding });
      const endpoints = status.endpoints.map((each) => ({ ...each, containerAddress: `${padding}${i}` }));
      await manager.write(taskRow(`t${i}`, 's', id), row('taskStatus', `t${i}`, { ...status, endpoints }));
    }
    await until(() => targetsOf(one).length === 201, 'the other has all');
    slow.resume();
    await until(() => targetsOf(slow).length === 201, 'it has all too');
    assert.deepEqual(slow.refused, []);
  });

  it('are acknowledged in the store only while a task drains, with the idle tasks among the draining ones', async () => {
    const manager = await bench.start(['m1', 'm2'], { settings: { ackRowLingerMs: 100 } });
    const one = await serving(manager, ['a', 'b']);
    const two = await bench.joined(bench.manager(1));
    await untilTargets(two, 'a b');
    assert.equal(manager.state.count('routeAcks'), 0);
    const drained = await manager.write(taskRow('a', 's', one.nodeId(), { drain: true }));
    const acked = (by: DispatcherManager, agent: FakeAgent): boolean => {
      const node = acksOf(manager, by)?.nodes.find((each) => each.nodeId === agent.nodeId());
      return (node?.epoch?.revision ?? 0) >= drained;
    };
    await until(() => acked(manager, one) && acked(bench.manager(1), two), 'both managers say so');
    one.acknowledge({ idleTaskIds: ['b', 'a'] });
    await until(() => acksOf(manager, manager)?.nodes[0]?.idleTaskIds.join() === 'a', 'a is idle');
    await manager.write(taskRow('a', 's', one.nodeId(), { drain: true, desired: TaskState.SHUTDOWN }));
    await until(() => manager.state.count('routeAcks') === 0, 'the rows are gone');
  });

  it('that are known when a drain starts are written at once: of tasks that are no target, too', async () => {
    const manager = await bench.start(['m1']);
    const agent = await serving(manager, ['a']);
    // Published, but not running: the table does not change, its name does.
    const drained = await manager.write(taskRow('c', 's', agent.nodeId(), { drain: true }));
    await until(
      () => (acksOf(manager, manager)?.nodes[0]?.epoch?.revision ?? 0) >= drained,
      'the acknowledgement of a table that changed nothing',
    );
    assert.deepEqual(targetsOf(agent), ['a']);
  });

  it('that a mesh does not acknowledge while a task drains bring it a restart, and later its good name back', async () => {
    const manager = await bench.start(['m1'], { settings: { meshAckMs: 300 } });
    const agent = await serving(manager, ['a'], false);
    agent.acknowledge();
    const restarts = (): number => agent.received.filter((message) => message.case === 'restartMesh').length;
    const answers = agent.answers().length;
    await until(() => agent.answers().length > answers + 10, 'without a drain nobody minds');
    assert.equal(restarts(), 0);
    await manager.write(taskRow('a', 's', agent.nodeId(), { drain: true }));
    await until(() => restarts() === 1, 'it is restarted');
    // As the leader does.
    const status = nodeOf(manager, agent);
    assert.ok(status);
    await manager.write(row('nodeStatus', agent.nodeId(), { ...status, meshUnready: true }));
    await until(() => nodeOf(manager, agent)?.meshUnready === true, 'marked');
    agent.acknowledge();
    await until(() => nodeOf(manager, agent)?.meshUnready === false, 'cleared');
  });

  it('that are late bring a restart also when the leader, who goes by the same deadline, has ended the drain already', async () => {
    const manager = await bench.start(['m1'], { settings: { meshAckMs: 300 } });
    const agent = await serving(manager, ['a'], false);
    await manager.write(taskRow('a', 's', agent.nodeId(), { drain: true }));
    const status = nodeOf(manager, agent);
    assert.ok(status);
    await manager.write(
      taskRow('a', 's', agent.nodeId(), { drain: true, desired: TaskState.SHUTDOWN }),
      row('nodeStatus', agent.nodeId(), { ...status, meshUnready: true }),
    );
    await until(() => agent.received.some((message) => message.case === 'restartMesh'), 'it is restarted');
  });

  it('report ports that could not be opened, and a mesh process that stays away', async () => {
    const manager = await bench.start(['m1'], { settings: { meshAckMs: 300 } });
    const agent = await serving(manager, ['a'], false);
    const problem = PortProblem.create({ publishedPort: 80, message: 'in use by nginx' });
    agent.acknowledge({ portProblems: [problem] });
    await until(() => nodeOf(manager, agent)?.portProblems[0]?.message === 'in use by nginx', 'the problem is known');
    agent.acknowledge({ meshUp: false });
    await until(() => nodeOf(manager, agent)?.meshUnready === true, 'the mesh is away');
    assert.match(nodeOf(manager, agent)?.message ?? '', /mesh process does not run/);
    assert.deepEqual(nodeOf(manager, agent)?.portProblems, []);
    agent.acknowledge();
    await until(() => nodeOf(manager, agent)?.meshUnready === false, 'it is back');
    assert.equal(nodeOf(manager, agent)?.message, '');
  });
});
