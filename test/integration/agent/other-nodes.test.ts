// An agent on a host where another node of its cluster left tasks: this host itself, before it lost its data folder, or a living neighbour.
import assert from 'node:assert/strict';
import { type Epoch, TaskState } from '../../../proto/index.ts';
import { fakeManager, type FakeManager, type FakeSession } from '../../support/fake-manager.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { assignmentOf, epochOf, type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';

describe('an agent beside what other nodes left', () => {
  let manager: FakeManager;
  let runtime: ScriptedRuntime;
  let agent: TestAgent;
  let session: FakeSession;

  /** The old node has t8 and t9, the neighbour n1, this one t1. */
  beforeEach(async () => {
    manager = await fakeManager();
    runtime = scriptedRuntime();
    agent = testAgent();
    for (const taskId of ['t8', 't9', 'n1']) runtime.place({ taskId });
    runtime.others = [
      { nodeId: 'old', taskId: 't8' },
      { nodeId: 'old', taskId: 't9' },
      { nodeId: 'neighbour', taskId: 'n1' },
    ];
    await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length > 0, 'a session');
    session = manager.last();
    session.send({ case: 'assignments', value: { epoch: epochOf(10), assignments: [assignmentOf('t1')] } });
    await until(() => asked().length > 0 && session.statuses.get('t1')?.state === TaskState.RUNNING, 'the question, and t1 running');
  });
  afterEach(async () => {
    await agent.remove();
    await manager.stop();
  });

  const asked = (): readonly string[] =>
    session.received.flatMap((message) => (message.case === 'otherNodes' ? message.value.nodeIds : []));
  const answer = (epoch: Epoch, removedNodeIds: readonly string[], downNodeIds: readonly string[] = []): void => {
    session.send({ case: 'nodeFates', value: { epoch, removedNodeIds, downNodeIds } });
  };

  it('asks for them, and ends what a removed node left, by its stop signal first', async () => {
    assert.deepEqual(asked(), ['old', 'neighbour']);
    answer(epochOf(11), ['old']);
    await until(() => runtime.instance('t8') === undefined && runtime.instance('t9') === undefined, 'the old tasks removed');
    for (const taskId of ['t8', 't9']) assert.ok(runtime.calls.indexOf(`stop ${taskId}`) < runtime.calls.indexOf(`remove ${taskId}`));
    assert.deepEqual([runtime.instance('n1')?.state, runtime.instance('t1')?.state], ['running', 'running']);
  });

  it('leaves alone those of a node that is down, and names them and the way out', async () => {
    answer(epochOf(11), [], ['old']);
    await until(() => agent.problems.some((line) => /"taskIds":\["t8","t9"\].*shoal node rm old/.test(line)), 'the warning');
    assert.equal(runtime.calls.includes('stop t8'), false);
  });

  it('does nothing on the word of an older or another history, nor for its own node', async () => {
    answer(epochOf(9), ['old']);
    answer(epochOf(11, 'cluster2'), ['old']);
    answer({ ...epochOf(11), incarnation: 'j', incarnationNumber: 2 }, ['old']);
    answer(epochOf(11), ['node1']);
    await until(() => agent.problems.filter((line) => line.includes('not acted on')).length === 3, 'three refusals');
    answer(epochOf(11), [], ['neighbour']);
    await until(() => agent.problems.some((line) => line.includes('shoal node rm neighbour')), 'the last answer taken');
    assert.equal(
      runtime.calls.some((call) => call.startsWith('stop')),
      false,
    );
  });
});
