// The whole agent against a manager over real gRPC and a scripted runtime: what it does with assignments, and across restarts.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { ShoalError } from '../../../lib/errors.ts';
import { ContainerSpec, HealthCheck, PortSpec, TaskSpec, TaskState, type TaskStatus } from '../../../proto/index.ts';
import { fakeManager, type FakeManager } from '../../support/fake-manager.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { ownLoopback } from '../../support/sockets.ts';
import { assignmentOf, epochOf, type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';

const UNAVAILABLE = new ShoalError('unavailable', 'the engine does not answer');

describe('an agent with its tasks', () => {
  let manager: FakeManager;
  let runtime: ScriptedRuntime;
  let agent: TestAgent;
  let revision: number;

  beforeEach(async () => {
    manager = await fakeManager();
    runtime = scriptedRuntime();
    agent = testAgent();
    revision = 10;
  });
  afterEach(async () => {
    await agent.remove();
    await manager.stop();
  });

  const status = (taskId: string): TaskStatus | undefined => manager.last().statuses.get(taskId);
  const reaches = (taskId: string, state: TaskState): Promise<void> =>
    until(
      () => status(taskId)?.state === state,
      () => `${taskId} in state ${state}; it is ${JSON.stringify(status(taskId))}; calls: ${runtime.calls.join(', ')}`,
    );
  const assign = (...tasks: readonly ReturnType<typeof assignmentOf>[]): void => {
    manager.last().send({ case: 'assignments', value: { epoch: epochOf(++revision), assignments: tasks } });
  };
  const change = (put: readonly ReturnType<typeof assignmentOf>[], removedTaskIds: readonly string[] = []): void => {
    const base = epochOf(revision);
    manager.last().send({ case: 'assignmentDelta', value: { base, result: epochOf(++revision), put, removedTaskIds } });
  };
  const begin = async (): Promise<void> => {
    const sessions = manager.sessions.length;
    await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length > sessions && manager.last().batches.length > 0, 'a session with its complete batch');
  };

  it('runs what it is assigned, stops what it shall stop, and forgets what is gone', async () => {
    await begin();
    assign(assignmentOf('t1'));
    await reaches('t1', TaskState.RUNNING);
    change([assignmentOf('t1', { desired: TaskState.SHUTDOWN })]);
    await reaches('t1', TaskState.SHUTDOWN);
    assert.equal(runtime.instance('t1')?.state, 'exited', 'its container is kept for logs');
    change([], ['t1']);
    await until(() => runtime.instance('t1') === undefined, 'the container removed');
    assert.equal(runtime.starts('t1'), 1);
  });

  it('removes the container of a task desired REMOVE and still says how it ended', async () => {
    await begin();
    assign(assignmentOf('t1'));
    await reaches('t1', TaskState.RUNNING);
    change([assignmentOf('t1', { desired: TaskState.REMOVE })]);
    await until(() => runtime.instance('t1') === undefined, 'the container removed');
    await reaches('t1', TaskState.SHUTDOWN);
  });

  it('holds a task desired READY back until it shall run', async () => {
    await begin();
    assign(assignmentOf('t1', { desired: TaskState.READY }));
    await reaches('t1', TaskState.READY);
    assert.equal(runtime.starts('t1'), 0);
    change([assignmentOf('t1')]);
    await reaches('t1', TaskState.RUNNING);
  });

  it('reports states only ever forward', async () => {
    const seen: TaskState[] = [];
    await begin();
    assign(assignmentOf('t1'));
    await reaches('t1', TaskState.RUNNING);
    runtime.exit('t1', { exitCode: 3 });
    await reaches('t1', TaskState.FAILED);
    for (const batch of manager.last().batches) for (const each of batch.statuses) seen.push(each.state);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(status('t1')?.exitCode, 3);
    assert.equal(status('t1')?.error, 'exit code 3');
  });

  it('stops a task that gets unhealthy, with the words of its check', async () => {
    const spec = TaskSpec.create({ container: ContainerSpec.create({ healthCheck: HealthCheck.create({ test: ['CMD', 'x'] }) }) });
    await begin();
    assign(assignmentOf('t1', { spec }));
    await reaches('t1', TaskState.STARTING);
    await until(() => runtime.inFlight('wait') === 1, 'the task watched');
    runtime.setHealth('t1', 'healthy');
    await reaches('t1', TaskState.RUNNING);
    runtime.setHealth('t1', 'unhealthy', 'HTTP 500');
    await reaches('t1', TaskState.FAILED);
    assert.equal(status('t1')?.error, 'unhealthy: HTTP 500');
    assert.equal(runtime.instance('t1')?.state, 'exited');
  });

  it('gives up a prepare that is no longer wanted', async () => {
    const release = runtime.hold('prepare');
    await begin();
    assign(assignmentOf('t1'));
    await reaches('t1', TaskState.PREPARING);
    change([assignmentOf('t1', { desired: TaskState.SHUTDOWN })]);
    await reaches('t1', TaskState.SHUTDOWN);
    release();
    assert.equal(runtime.starts('t1'), 0);
    assert.equal(runtime.instance('t1'), undefined);
  });

  it('waits for an engine that does not answer, and says so meanwhile', async () => {
    runtime.fail('prepare', UNAVAILABLE);
    await begin();
    assign(assignmentOf('t1'));
    await until(() => status('t1')?.message.includes('the engine does not answer; trying again') === true, 'the reason in its status');
    runtime.fail('prepare', undefined);
    await reaches('t1', TaskState.RUNNING);
  });

  it('rejects what can never run here', async () => {
    runtime.fail('prepare', new ShoalError('failed_precondition', 'no such image'));
    await begin();
    assign(assignmentOf('t1'));
    await reaches('t1', TaskState.REJECTED);
    assert.equal(status('t1')?.error, 'no such image');
  });

  it('does not start twice what a start whose answer was lost had started', async () => {
    runtime.fail('start', UNAVAILABLE);
    await begin();
    assign(assignmentOf('t1'));
    await until(() => runtime.starts('t1') === 1, 'the first start');
    runtime.place({ taskId: 't1', state: 'exited', exit: { exitCode: 4, reason: '' } });
    runtime.fail('start', undefined);
    await reaches('t1', TaskState.FAILED);
    assert.equal(status('t1')?.exitCode, 4);
    assert.equal(runtime.starts('t1'), 1);
  });

  it('fails a task whose container somebody removed', async () => {
    await begin();
    assign(assignmentOf('t1'));
    await reaches('t1', TaskState.RUNNING);
    runtime.vanish('t1');
    await reaches('t1', TaskState.FAILED);
  });

  it('starts many at once, within its bound', async () => {
    const release = runtime.hold('prepare');
    await begin();
    assign(...Array.from({ length: 30 }, (_, index) => assignmentOf(`t${index}`)));
    await until(() => runtime.inFlight('prepare') === 8, 'eight prepares in flight');
    release();
    await until(
      () => [...manager.last().statuses.values()].filter(({ state }) => state === TaskState.RUNNING).length === 30,
      'all running',
    );
  });

  it('reports an endpoint as ready once something answers there', async () => {
    const server = createServer((socket) => socket.destroy());
    await begin();
    assign(assignmentOf('t1', { ports: [PortSpec.create({ targetPort: 80, publishedPort: 8080 })] }));
    await reaches('t1', TaskState.RUNNING);
    const [endpoint] = status('t1')?.endpoints ?? [];
    assert.ok(endpoint !== undefined && !endpoint.ready);
    await new Promise<void>((resolve) => server.listen(endpoint.nodePort, ownLoopback(), resolve));
    await until(() => status('t1')?.endpoints[0]?.ready === true, 'the endpoint ready');
    runtime.exit('t1');
    await until(() => status('t1')?.endpoints.length === 0, 'no endpoint of an ended task');
    await new Promise((resolve) => server.close(resolve));
  });

  it('reports an endpoint as ready at once where no check is wanted', async () => {
    await begin();
    const spec = TaskSpec.create({ container: ContainerSpec.create(), noPortCheck: true });
    assign(assignmentOf('t1', { spec, ports: [PortSpec.create({ targetPort: 80, publishedPort: 8080 })] }));
    await until(() => status('t1')?.endpoints[0]?.ready === true, 'the endpoint ready');
  });

  describe('after its restart', () => {
    it('leaves running tasks untouched, and reports them', async () => {
      await begin();
      assign(assignmentOf('t1'), assignmentOf('t2'));
      await reaches('t1', TaskState.RUNNING);
      await reaches('t2', TaskState.RUNNING);
      const pid = runtime.instance('t1')?.pid;
      await agent.stop();
      runtime.exit('t2', { exitCode: 5 });
      await begin();
      assert.equal(manager.last().batches[0]?.complete, true);
      await reaches('t1', TaskState.RUNNING);
      await reaches('t2', TaskState.FAILED);
      assert.equal(status('t2')?.exitCode, 5);
      assert.equal(runtime.instance('t1')?.pid, pid);
      assert.deepEqual([runtime.starts('t1'), runtime.starts('t2')], [1, 1]);
      assert.equal(manager.last().register.assignments?.revision, revision);
      assert.equal(manager.last().register.nodeId, 'node1');
    });

    it('knows what to run without a manager', async () => {
      await begin();
      const release = runtime.hold('start');
      assign(assignmentOf('t1'));
      await reaches('t1', TaskState.STARTING);
      await agent.stop();
      release();
      await manager.stop();
      await agent.start([manager.address], runtime);
      await until(() => runtime.instance('t1')?.state === 'running', 'the task running');
    });

    it('leaves what nobody assigned until it has heard all assignments, then removes it', async () => {
      await begin();
      await agent.stop();
      runtime.place({ taskId: 'stray' });
      await begin();
      change([assignmentOf('t1')]);
      await until(() => manager.last().received.some(({ case: kind }) => kind === 'resync'), 'the agent asks for the whole set');
      assert.equal(runtime.instance('stray')?.state, 'running');
      assign(assignmentOf('t1'));
      await until(() => runtime.instance('stray') === undefined, 'the stray removed');
      await reaches('t1', TaskState.RUNNING);
      assert.ok(!manager.last().statuses.has('stray'), 'it is not reported as a task of this node');
    });

    it('adopts what stands on the host when its own record is lost', async () => {
      await begin();
      await agent.stop();
      runtime.place({ taskId: 't1' });
      await begin();
      assign(assignmentOf('t1'));
      await reaches('t1', TaskState.RUNNING);
      assert.deepEqual([runtime.starts('t1'), runtime.calls.includes('prepare t1')], [0, false]);
    });

    it('finds its tasks once the engine answers', async () => {
      await begin();
      assign(assignmentOf('t1'));
      await reaches('t1', TaskState.RUNNING);
      await agent.stop();
      runtime.fail('list', UNAVAILABLE);
      const sessions = manager.sessions.length;
      await agent.start([manager.address], runtime);
      await until(() => manager.sessions.length > sessions, 'a session');
      assign(assignmentOf('t1'), assignmentOf('t2'));
      assert.equal(manager.last().batches.length, 0, 'nothing is said before the engine did');
      runtime.fail('list', undefined);
      await reaches('t2', TaskState.RUNNING);
      await reaches('t1', TaskState.RUNNING);
      assert.equal(runtime.starts('t1'), 1);
    });

    it('keeps a rejection, though no container tells of it', async () => {
      runtime.fail('prepare', new ShoalError('failed_precondition', 'no such image'));
      await begin();
      assign(assignmentOf('t1'));
      await reaches('t1', TaskState.REJECTED);
      await agent.stop();
      runtime.fail('prepare', undefined);
      await begin();
      await reaches('t1', TaskState.REJECTED);
      assert.equal(runtime.instance('t1'), undefined);
    });
  });

  it('of an ephemeral node ends with its tasks, and none of them starts again', async () => {
    const running = await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length === 1 && manager.last().batches.length > 0, 'a session');
    assign(assignmentOf('t1'), assignmentOf('t2'));
    await reaches('t1', TaskState.RUNNING);
    await reaches('t2', TaskState.RUNNING);
    await running.drainAndStop();
    assert.equal(runtime.instance('t1'), undefined);
    assert.equal(runtime.instance('t2'), undefined);
    await begin();
    await reaches('t1', TaskState.SHUTDOWN);
    assert.equal(runtime.starts('t1'), 1);
  });
});
