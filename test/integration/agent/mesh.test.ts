// The agent and a real mesh process: started, fed, restarted, taken over, and left alone.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Agent } from '../../../agent/agent-options.ts';
import { endHolder, launchedBefore, type MeshLauncher, meshLauncher } from '../../../agent/mesh/mesh-process.ts';
import { isAlive, type ProcessId, signalProcess } from '../../../lib/process-id.ts';
import { PortProtocol, PortRoute, type RouteReport, type RouteTable, RouteTarget } from '../../../proto/index.ts';
import { fakeManager, type FakeManager, type FakeTaskStream } from '../../support/fake-manager.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { freePort, ownLoopback } from '../../support/sockets.ts';
import { assignmentOf, epochOf, type TestAgent, testAgent } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';
import { startVisitors } from '../../support/visitors.ts';

const MAIN = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));

describe('an agent with its mesh', function () {
  this.timeout(30_000);
  let manager: FakeManager;
  let runtime: ScriptedRuntime;
  let agent: TestAgent;
  let running: Agent;
  let replica: Server;
  let published: number;

  before(async () => {
    replica = createServer((socket) => socket.on('error', () => undefined).end('hello'));
    await new Promise<void>((resolve) => replica.listen(0, '127.0.0.1', resolve));
    published = await freePort();
  });
  after(() => {
    replica.close();
  });
  beforeEach(async () => {
    manager = await fakeManager();
    runtime = scriptedRuntime();
    agent = testAgent(launcher);
    running = await agent.start([manager.address], runtime);
    await meshUp();
  });
  afterEach(async () => {
    const mesh = launchedBefore(join(agent.dataDir, 'mesh'));
    await agent.stop();
    if (mesh !== undefined) signalProcess(mesh, 'SIGKILL');
    // One that began to keep the port while the agent went would answer in the next test.
    endHolder(join(agent.dataDir, 'mesh'));
    await agent.remove();
    await manager.stop();
    logLevel = 'debug';
  });

  const report = (): RouteReport | undefined => manager.sessions.at(-1)?.routes();
  const meshUp = (): Promise<void> =>
    until(
      () => report()?.meshUp === true,
      () => `the mesh up; problems: ${agent.problems.join('\n')}\n${meshLog()}`,
    );
  const meshLog = (): string => {
    try {
      return readFileSync(join(agent.dataDir, 'mesh', 'mesh.log'), 'utf8');
    } catch {
      return 'no log';
    }
  };
  const process_ = (): ProcessId => {
    const id = launchedBefore(join(agent.dataDir, 'mesh'));
    assert.ok(id !== undefined);
    return id;
  };
  const table = (revision: number): RouteTable => ({
    epoch: epochOf(revision),
    ports: [
      PortRoute.create({
        protocol: PortProtocol.TCP,
        publishedPort: published,
        serviceId: 's1',
        serviceName: 'web',
        targets: [
          RouteTarget.create({
            taskId: 't1',
            nodeId: 'node1',
            nodeAddress: '127.0.0.1',
            nodePort: (replica.address() as AddressInfo).port,
            weight: 1,
          }),
        ],
      }),
    ],
  });
  const feed = async (revision: number): Promise<void> => {
    manager.last().send({ case: 'routes', value: table(revision) });
    await acked(revision);
  };
  const acked = (revision: number): Promise<void> =>
    until(
      () => report()?.ack?.revision === revision,
      () => `the table ${revision} acknowledged; problems: ${agent.problems.join('\n')}`,
    );
  const answer = async (): Promise<string> => {
    const socket = connect(published, ownLoopback());
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return bytes.toString();
  };

  it('tells a manager what the mesh does, and that it is not up where it is not', async () => {
    const ask = async (streamId: string): Promise<readonly FakeTaskStream['frames'][number][]> => {
      const lag = { sentRevision: 5, waitingMs: 0 };
      const request = { case: 'meshStatus', value: { targets: true, lag } } as const;
      manager.last().send({ case: 'openStream', value: { streamId, request } });
      const frames = (): FakeTaskStream['frames'] => manager.streams.find((each) => each.streamId === streamId)?.frames ?? [];
      await until(() => frames().at(-1)?.case === 'end', 'the end of the answer');
      return frames();
    };
    await feed(5);
    const [page, end] = await ask('one');
    assert.ok(page?.case === 'mesh' && end?.case === 'end' && end.value.error === '');
    assert.deepEqual([page.value.lag?.sentRevision, page.value.page?.epoch?.revision, page.value.page?.pid], [5, 5, process_().pid]);
    const [port] = page.value.page?.ports ?? [];
    assert.deepEqual([port?.publishedPort, port?.routes[0]?.targets[0]?.taskId], [published, 't1']);
    process.kill(process_().pid, 'SIGSTOP');
    const [stuck] = await ask('two');
    process.kill(process_().pid, 'SIGCONT');
    assert.ok(stuck?.case === 'end' && /answer of the mesh took longer/.test(stuck.value.error), JSON.stringify(stuck));
  });

  it('passes tables and increments on, and their acknowledgements back', async () => {
    await feed(5);
    assert.equal(await answer(), 'hello');
    manager.last().send({
      case: 'routeDelta',
      value: {
        base: epochOf(5),
        result: epochOf(6),
        putPorts: [],
        removedPorts: [{ protocol: PortProtocol.TCP, publishedPort: published, host: '', path: '' }],
        putTargets: [],
        removedTargets: [],
      },
    });
    await acked(6);
    await assert.rejects(answer());
  });

  it('asks for the whole table after a gap', async () => {
    await feed(5);
    const value = { base: epochOf(7), result: epochOf(8), putPorts: [], removedPorts: [], putTargets: [], removedTargets: [] };
    manager.last().send({ case: 'routeDelta', value });
    await until(() => manager.last().received.some((up) => up.case === 'resync' && up.value.routes), 'a resync of the routes');
    await feed(8);
  });

  it('starts the mesh again at once when it is killed, and it serves what it had', async () => {
    await feed(5);
    const before = process_();
    signalProcess(before, 'SIGKILL');
    await until(() => report()?.meshUp === false, 'the loss reported');
    await meshUp();
    assert.notEqual(process_().pid, before.pid);
    assert.equal(report()?.ack?.revision, 5);
    assert.equal(await answer(), 'hello');
  });

  it('has the mesh send nothing new to a task that has ended here, though no manager sends another table', async () => {
    const other = createServer((socket) => socket.end('other'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { epoch, ports } = table(5);
    const [route] = ports;
    assert.ok(route !== undefined);
    const second = route.targets.map((target) => ({ ...target, taskId: 't2', nodePort: (other.address() as AddressInfo).port }));
    manager.last().send({ case: 'routes', value: { epoch, ports: [{ ...route, targets: [...route.targets, ...second] }] } });
    await acked(5);
    manager.last().send({ case: 'assignments', value: { epoch: epochOf(5), assignments: [assignmentOf('t1')] } });
    await until(() => runtime.instance('t1')?.state === 'running', 't1 running');
    await until(async () => (await answer()) === 'hello', 'a connection to t1');
    runtime.exit('t1');
    await until(async () => {
      for (let connection = 0; connection < 20; connection++) if ((await answer()) !== 'other') return false;
      return true;
    }, 'all connections elsewhere');
    other.close();
  });

  it('refuses nobody while the mesh is killed and started again, though the agent was restarted meanwhile', async () => {
    await feed(5);
    await agent.stop();
    await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length === 2, 'a new session');
    await meshUp();
    const before = process_();
    await until(() => existsSync(join(agent.dataDir, 'mesh', 'holder.json')), 'the sockets kept');
    const visitors = startVisitors(published, ownLoopback());
    await until(() => visitors.answers > 20, 'load');
    signalProcess(before, 'SIGKILL');
    await until(() => process_().pid !== before.pid && report()?.meshUp === true, 'another mesh', 20_000);
    const answers = visitors.answers;
    await until(() => visitors.answers > answers + 20, 'load');
    await visitors.stop();
    assert.ok(!visitors.failures.includes('ECONNREFUSED') && visitors.failures.length <= 4, visitors.failures.join());
  });

  it('has a mesh of another build, or with other flags, hand over to one of its own, under load', async () => {
    await feed(5);
    const before = process_();
    await agent.stop();
    const visitors = startVisitors(published, ownLoopback());
    logLevel = 'info';
    await agent.start([manager.address], runtime);
    await until(() => process_().pid !== before.pid && report()?.meshUp === true, 'another mesh', 20_000);
    const answers = visitors.answers;
    await until(() => visitors.answers > answers + 20, 'load');
    await visitors.stop();
    assert.deepEqual(visitors.failures, []);
    await until(() => !isAlive(before), 'the old one gone');
    await acked(5);
    await feed(6);
  });

  it('has a mesh that does not acknowledge hand over, where it can', async () => {
    await feed(5);
    const before = process_();
    const visitors = startVisitors(published, ownLoopback());
    manager.last().send({ case: 'restartMesh', value: { reason: 'it does not acknowledge' } });
    await until(() => process_().pid !== before.pid && report()?.meshUp === true, 'another mesh', 20_000);
    await visitors.stop();
    assert.deepEqual(visitors.failures, []);
  });

  it('leaves the mesh serving when it ends, and takes it over when it starts again', async () => {
    await feed(5);
    const before = process_();
    await agent.stop();
    assert.equal(await answer(), 'hello');
    await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length === 2, 'a new session');
    await meshUp();
    assert.deepEqual(process_(), before);
    assert.ok(isAlive(before));
    await acked(5);
  });

  it('starts the mesh anew when a manager asks, also one that is stopped dead', async () => {
    const before = process_();
    signalProcess(before, 'SIGSTOP');
    manager.last().send({ case: 'restartMesh', value: { reason: 'it does not acknowledge' } });
    await until(() => !isAlive(before), 'the old process gone');
    await until(() => process_().pid !== before.pid && report()?.meshUp === true, 'a new one up');
    await feed(5);
  });

  it('notices by itself that the mesh hangs, ends it, and the ports answer again', async () => {
    await feed(5);
    const before = process_();
    signalProcess(before, 'SIGSTOP');
    await until(
      () => process_().pid !== before.pid && report()?.meshUp === true,
      () => `a new mesh; problems: ${agent.problems.join('\n')}`,
      20_000,
    );
    assert.equal(isAlive(before), false);
    assert.equal(await answer(), 'hello');
    assert.ok(agent.problems.some((line) => line.startsWith('the mesh hangs')));
  });

  it('reports a published port that something else holds', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(published, ownLoopback(), resolve));
    try {
      await feed(5);
      await until(() => report()?.portProblems.length === 1, 'the problem reported');
      assert.equal(report()?.portProblems[0]?.publishedPort, published);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });

  it('ends the mesh of its folder whose files are lost, which else would hold the ports', async () => {
    await feed(5);
    const lost = process_();
    await agent.stop();
    for (const name of readdirSync(agent.dataDir)) rmSync(join(agent.dataDir, name), { recursive: true });
    running = await agent.start([manager.address], runtime);
    await until(() => manager.sessions.length === 2, 'the agent back');
    await meshUp();
    assert.equal(isAlive(lost), false);
    await feed(6);
    assert.equal(await answer(), 'hello');
    assert.ok(agent.problems.some((line) => line.includes('lost sight of') && line.includes(String(lost.pid))));
  });

  it('names the mesh of another folder that holds a port, and leaves it alone', async () => {
    const other = testAgent(launcher);
    const neighbour = await fakeManager({ nodeId: 'node2' });
    await feed(5);
    try {
      await other.start([neighbour.address], scriptedRuntime());
      await until(() => neighbour.sessions.at(-1)?.routes()?.meshUp === true, 'the other mesh up');
      neighbour.last().send({ case: 'routes', value: table(5) });
      const pid = process_().pid;
      await until(
        () => other.problems.some((line) => line.includes(`"pid":${pid}`) && line.includes(`kill ${pid}`)),
        () => `the warning; problems: ${other.problems.join('\n')}`,
      );
      assert.ok(isAlive(process_()));
    } finally {
      const mesh = launchedBefore(join(other.dataDir, 'mesh'));
      await other.remove();
      if (mesh !== undefined) signalProcess(mesh, 'SIGKILL');
      await neighbour.stop();
    }
  });

  it('ends the mesh before the tasks of a node that was removed, and starts none afterwards', async () => {
    await feed(5);
    const mesh = process_();
    manager.last().send({ case: 'assignments', value: { epoch: epochOf(5), assignments: [assignmentOf('t1')] } });
    await until(() => runtime.instance('t1')?.state === 'running', 't1 running');
    const release = runtime.hold('stop');
    manager.removal = (register) => ({ epoch: epochOf(6), nodeId: register.nodeId });
    manager.last().end();
    await until(() => runtime.inFlight('stop') === 1, 'the stop of t1');
    assert.equal(isAlive(mesh), false);
    release();
    await until(() => runtime.instance('t1') === undefined, 't1 removed');
    await agent.stop();
    await agent.start([manager.address], runtime);
    await assert.rejects(answer());
    assert.deepEqual(process_(), mesh);
  });

  it('ends the mesh with an ephemeral node', async () => {
    const mesh = process_();
    await running.drainAndStop();
    assert.equal(isAlive(mesh), false);
  });
});

/** Of meshes that are started from now on. */
let logLevel = 'debug';

function launcher(nodeId: string, dataDir: string): MeshLauncher {
  return meshLauncher({
    command: [process.execPath, '--import', 'tsx', MAIN],
    dataDir: join(dataDir, 'mesh'),
    nodeId,
    listen: [ownLoopback()],
    portOffset: 0,
    healthAddress: undefined,
    logLevel,
  });
}
