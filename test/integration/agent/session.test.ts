// An agent's sessions with managers, over real gRPC.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '../../../lib/errors.ts';
import { TaskState } from '../../../proto/index.ts';
import { fakeManager, type FakeManager } from '../../support/fake-manager.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { assignmentOf, epochOf, type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';

describe('agent sessions', () => {
  let managers: FakeManager[];
  let runtime: ScriptedRuntime;
  let agent: TestAgent;

  beforeEach(() => {
    managers = [];
    runtime = scriptedRuntime();
    agent = testAgent();
  });
  afterEach(async () => {
    await agent.remove();
    for (const manager of managers) await manager.stop();
  });

  const aManager = async (options?: Parameters<typeof fakeManager>[0]): Promise<FakeManager> => {
    const manager = await fakeManager(options);
    managers.push(manager);
    return manager;
  };
  const registered = (manager: FakeManager, count = 1): Promise<void> =>
    until(
      // The first heartbeat tells that the agent has taken its registration.
      () => manager.sessions.length >= count && manager.last().heartbeats() > 0,
      () => `${count} sessions; problems: ${agent.problems.join('\n')}`,
    );

  it('begin with Register: who the node is, what it has, and what was asked for it', async () => {
    const manager = await aManager();
    await agent.start([manager.address], runtime);
    await registered(manager);
    const first = manager.last().register;
    assert.deepEqual([first.nodeId, first.clusterId, first.nonce, first.assignments], ['', '', 'nonce1', undefined]);
    assert.deepEqual(first.labels, { zone: 'a' });
    assert.equal(first.description?.hostname, 'test');
    assert.equal(first.description.engine?.version, '1.0');
    assert.notEqual(first.bootId, '');
    await agent.stop();
    await agent.start([manager.address], runtime);
    await registered(manager, 2);
    const second = manager.last().register;
    assert.deepEqual([second.nodeId, second.clusterId, second.nonce], ['node1', 'cluster1', 'nonce2']);
    assert.equal(second.bootId, first.bootId);
  });

  it('send heartbeats at the period that the manager asks for', async () => {
    const manager = await aManager({ heartbeatPeriodMs: 100 });
    await agent.start([manager.address], runtime);
    await registered(manager);
    await until(() => manager.last().heartbeats() >= 3, 'three heartbeats');
  });

  it('come back after they broke, with a complete batch and route report', async () => {
    const manager = await aManager();
    await agent.start([manager.address], runtime);
    await registered(manager);
    manager.last().end();
    await registered(manager, 2);
    await until(() => manager.last().batches.length > 0 && manager.last().routes() !== undefined, 'all reported anew');
    assert.equal(manager.last().batches[0]?.complete, true);
  });

  it('go to another manager that was told of when the first is gone, also after a restart of the agent', async () => {
    const [first, second] = [await aManager(), await aManager()];
    first.managers = [first.address, second.address];
    await agent.start([first.address], runtime);
    await registered(first);
    await first.stop();
    await registered(second);
    await agent.stop();
    await agent.start([first.address], runtime);
    await registered(second, 2);
    assert.deepEqual(JSON.parse(readFileSync(join(agent.dataDir, 'managers.json'), 'utf8')), { managers: [first.address, second.address] });
  });

  it('move from a manager that does not answer to one that does', async () => {
    const [first, second] = [await aManager(), await aManager()];
    await agent.start([first.address], runtime);
    await registered(first);
    first.managers = [first.address, second.address];
    await until(() => readFileSync(join(agent.dataDir, 'managers.json'), 'utf8').includes(second.address), 'the list learnt');
    first.answersHeartbeats = false;
    await registered(second);
    await until(() => first.open().length === 0, 'the first session given up');
    assert.equal(second.open().length, 1);
  });

  it('stay with a manager without its store while no other is better', async () => {
    const [first, second] = [await aManager(), await aManager()];
    let refusals = 0;
    second.onRegister = () => {
      refusals++;
      return new ShoalError('unavailable', 'the store does not answer');
    };
    first.managers = [first.address, second.address];
    await agent.start([first.address], runtime);
    await registered(first);
    first.storeReachable = false;
    await until(() => refusals >= 2, 'the other manager tried twice');
    assert.equal(first.open().length, 1);
    assert.equal(first.sessions.length, 1);
    second.onRegister = () => ({ nodeId: 'node1', clusterId: 'cluster1' });
    await registered(second);
    await until(() => first.open().length === 0, 'the first session given up');
  });

  it('are tried again after a refusal, which is named', async () => {
    const manager = await aManager();
    manager.onRegister = () => new ShoalError('failed_precondition', 'another agent holds this node');
    await agent.start([manager.address], runtime);
    await until(() => agent.problems.some((line) => line.includes('another agent holds this node')), 'the refusal in the log');
    manager.onRegister = () => ({ nodeId: 'node1', clusterId: 'cluster1' });
    await registered(manager);
  });

  it('end with a manager of another cluster, and nothing is taken from it', async () => {
    const [own, other] = [await aManager(), await aManager({ clusterId: 'cluster2' })];
    await agent.start([own.address], runtime);
    await registered(own);
    await agent.stop();
    await own.stop();
    other.onRegister = () => ({ nodeId: 'node1', clusterId: 'cluster2' });
    await agent.start([other.address], runtime);
    await until(() => other.sessions.length > 0, 'the registration');
    other.last().send({ case: 'assignments', value: { epoch: epochOf(99, 'cluster2'), assignments: [assignmentOf('t1')] } });
    await until(() => agent.problems.some((line) => line.includes('this node belongs to cluster cluster1')), 'the reason in the log');
    await until(() => other.open().length === 0, 'the session ended');
    assert.equal(runtime.calls.includes('prepare t1'), false);
  });

  it('refuse assignments that are older or of another cluster', async () => {
    const manager = await aManager();
    await agent.start([manager.address], runtime);
    await registered(manager);
    const session = manager.last();
    session.send({ case: 'assignments', value: { epoch: epochOf(10), assignments: [assignmentOf('t1')] } });
    await until(() => session.statuses.get('t1')?.state === TaskState.RUNNING, 't1 running');
    session.send({ case: 'assignments', value: { epoch: epochOf(9), assignments: [] } });
    session.send({ case: 'assignments', value: { epoch: epochOf(11, 'cluster2'), assignments: [] } });
    session.send({ case: 'assignmentDelta', value: { base: epochOf(10), result: epochOf(9), put: [], removedTaskIds: ['t1'] } });
    session.send({
      case: 'assignmentDelta',
      value: { base: epochOf(10), result: epochOf(11), put: [assignmentOf('t2')], removedTaskIds: [] },
    });
    await until(() => session.statuses.get('t2')?.state === TaskState.RUNNING, 't2 running');
    assert.equal(runtime.instance('t1')?.state, 'running');
    assert.equal(agent.problems.filter((line) => line.startsWith('refused assignments')).length, 3);
  });

  it('ask for everything once after a gap, and take it', async () => {
    const manager = await aManager();
    await agent.start([manager.address], runtime);
    await registered(manager);
    const session = manager.last();
    const resyncs = (): number => session.received.filter(({ case: kind }) => kind === 'resync').length;
    session.send({ case: 'assignments', value: { epoch: epochOf(10), assignments: [] } });
    for (const base of [12, 13])
      session.send({
        case: 'assignmentDelta',
        value: { base: epochOf(base), result: epochOf(base + 1), put: [assignmentOf('t1')], removedTaskIds: [] },
      });
    await until(() => resyncs() === 1, 'a resync');
    session.send({ case: 'assignments', value: { epoch: epochOf(14), assignments: [assignmentOf('t1')] } });
    await until(() => session.statuses.get('t1')?.state === TaskState.RUNNING, 't1 running');
    assert.equal(resyncs(), 1);
  });

  it('end when the manager breaks the protocol', async () => {
    const manager = await aManager();
    await agent.start([manager.address], runtime);
    await registered(manager);
    manager.last().send({
      case: 'registered',
      value: { nodeId: 'node1', clusterId: 'cluster1', managerId: 'm', heartbeatPeriodMs: 100, managers: [] },
    });
    await until(() => agent.problems.some((line) => line.includes('Registered twice')), 'the reason in the log');
    await registered(manager, 2);
  });

  it('do not wait for ever for a manager that says nothing', async () => {
    const both = [await aManager(), await aManager()];
    let dials = 0;
    for (const manager of both) {
      manager.onRegister = () => {
        dials++;
        return dials === 1 ? undefined : { nodeId: 'node1', clusterId: 'cluster1' };
      };
    }
    await agent.start(
      both.map(({ address }) => address),
      runtime,
    );
    await until(() => both.some(({ sessions }) => sessions.length === 1), 'a session with the other one');
  });
});
