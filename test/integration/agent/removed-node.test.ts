// An agent whose node was removed from the cluster: it stops what it runs, but only on the word of a manager that can know.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Epoch, TaskState } from '../../../proto/index.ts';
import { fakeManager, type FakeManager } from '../../support/fake-manager.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { assignmentOf, epochOf, type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';

describe('an agent whose node was removed', () => {
  let manager: FakeManager;
  let runtime: ScriptedRuntime;
  let agent: TestAgent;

  beforeEach(async () => {
    manager = await fakeManager();
    runtime = scriptedRuntime();
    agent = testAgent();
  });
  afterEach(async () => {
    await agent.remove();
    await manager.stop();
  });

  /** With one task, and assignments of revision 10 applied. */
  const working = async (): Promise<Awaited<ReturnType<TestAgent['start']>>> => {
    const running = await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length > 0, 'a session');
    const session = manager.last();
    session.send({ case: 'assignments', value: { epoch: epochOf(10), assignments: [assignmentOf('t1')] } });
    await until(() => session.statuses.get('t1')?.state === TaskState.RUNNING, 't1 running');
    return running;
  };
  const sayRemoved = (epoch: Epoch | undefined, nodeId?: string): void => {
    manager.removal = (register) => ({ epoch, nodeId: nodeId ?? register.nodeId });
    manager.last().end();
  };
  const refused = (): Promise<void> =>
    until(
      () => agent.problems.some((line) => line.includes('not acted on')),
      () => `the refusal; problems: ${agent.problems.join('\n')}`,
    );

  it('stops and removes its tasks, says so, and leaves the managers alone, also after a restart', async () => {
    const running = await working();
    sayRemoved(epochOf(11));
    await until(() => runtime.instance('t1') === undefined, 't1 removed');
    assert.ok(runtime.calls.indexOf('stop t1') < runtime.calls.indexOf('remove t1'), 'stopped by its signal before it was removed');
    await until(() => agent.problems.some((line) => line.includes('its tasks and its mesh are gone')), 'the last word');
    assert.match(running.trouble() ?? '', /removed from the cluster; to join again as a new node, stop this agent, remove .*shoal-agent/);
    const registrations = manager.registrations();
    await agent.stop();
    manager.removal = undefined;
    const later = await agent.start([manager.address], runtime);
    await until(() => runtime.calls.filter((call) => call === 'list').length === 2, 'a look at the engine');
    await until(() => /removed from the cluster; to join/.test(later.trouble() ?? ''), 'cleared again');
    assert.equal(manager.registrations(), registrations);
    assert.equal(runtime.starts('t1'), 1);
    assert.deepEqual(JSON.parse(readFileSync(join(agent.dataDir, 'node.json'), 'utf8')), {
      ...{ nodeId: 'node1', clusterId: 'cluster1', removed: true },
    });
  });

  it('finishes after a restart what it could not finish before', async () => {
    const running = await working();
    runtime.stubborn = true;
    sayRemoved(epochOf(11));
    await until(() => runtime.inFlight('stop') === 1, 'the stop under way');
    assert.match(running.trouble() ?? '', /1 of its tasks are still to be removed/);
    await agent.stop();
    assert.notEqual(runtime.instance('t1'), undefined);
    runtime.stubborn = false;
    await agent.start([manager.address], runtime);
    await until(() => runtime.instance('t1') === undefined, 't1 removed');
  });

  const untrue: Readonly<Record<string, Epoch | undefined>> = {
    'is older than what it applied': epochOf(9),
    'is of another cluster': epochOf(11, 'cluster2'),
    'is of an older incarnation': { ...epochOf(11), incarnation: 'h', incarnationNumber: 0 },
    'is of a newer incarnation, as after a restore': { ...epochOf(11), incarnation: 'j', incarnationNumber: 2 },
    'is of another history with the same number': { ...epochOf(11), incarnation: 'j' },
    'has no epoch': undefined,
  };
  for (const [what, epoch] of Object.entries(untrue)) {
    it(`runs on when the word of it ${what}`, async () => {
      const running = await working();
      sayRemoved(epoch);
      await refused();
      manager.removal = undefined;
      await until(() => manager.sessions.length === 2, 'a new session');
      assert.equal(runtime.instance('t1')?.state, 'running');
      await until(() => running.trouble() === undefined, 'no trouble');
    });
  }

  it('runs on when another node is meant', async () => {
    await working();
    sayRemoved(epochOf(11), 'node2');
    await refused();
    assert.equal(runtime.instance('t1')?.state, 'running');
  });

  it('runs on when it has applied nothing that tells one history from another', async () => {
    await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length > 0, 'a session');
    sayRemoved(epochOf(11));
    await refused();
    manager.removal = undefined;
    await until(() => manager.sessions.length === 2, 'a new session');
  });
});
