import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { credentials } from '@grpc/grpc-js';
import { systemIds } from '../../../lib/ids.ts';
import { type ClientOf, connect as connectRpc, type RpcConnection } from '../../../lib/rpc/index.ts';
import {
  AgentMessage,
  ContainerSpec,
  ControlService,
  CreateServiceRequest,
  GetClusterRequest,
  ListServicesRequest,
  ListTasksRequest,
  NodeDescription,
  Register,
  RemoveServiceRequest,
  TaskState,
  TaskStatus,
} from '../../../proto/index.ts';
import { fakeAgent, type FakeAgent, type FakeAgentOptions } from '../../support/fake-agent.ts';
import { type ManagerLine, type ManagerProcess, startManagerProcess } from '../../support/manager-process.ts';
import { framed, rawConnection, type RawConnection, statusOf } from '../../support/raw-http2.ts';
import { specOf } from '../../support/service-specs.ts';
import { until } from '../../support/until.ts';

const SESSION = '/shoal.v1.AgentSession/Session';
const TASK_STREAM = '/shoal.v1.AgentSession/TaskStream';
const PEER_STREAM = '/shoal.v1.Peer/TaskStream';
const CREATE = '/shoal.v1.Control/CreateService';
const LIST = '/shoal.v1.Control/ListServices';
const EXEC = '/shoal.v1.Control/Exec';
const INVALID_ARGUMENT = '3';
const RESOURCE_EXHAUSTED = '8';

/** Longest of the manager's own patience with what says nothing, and as much again. */
const PATIENCE_MS = 30_000;

const RESOURCES = { nanoCpus: 4e9, memoryBytes: 8 * 1024 ** 3, pids: 0 };
const DESCRIPTION = NodeDescription.create({ hostname: 'good', resources: RESOURCES });

describe('hostile and broken clients', function () {
  this.timeout(120_000);
  let manager: ManagerProcess;
  let good: FakeAgent;
  let connection: RpcConnection;
  let control: ClientOf<typeof ControlService>;
  const agents: FakeAgent[] = [];
  const raw: RawConnection[] = [];
  const sockets: Socket[] = [];
  let linesBefore = 0;
  let calm: { stop(): Promise<void> };

  before(async () => {
    manager = await startManagerProcess();
    await manager.untilReady();
    connection = connectRpc(manager.address, credentials.createInsecure());
    control = connection.client(ControlService);
    good = fakeAgent(manager.address, { register: { description: DESCRIPTION, bootId: 'good-boot' }, heartbeatMs: 500 });
    await good.untilRegistered();
  });
  after(async () => {
    good.close();
    connection.close();
    await manager.remove();
  });
  beforeEach(() => {
    linesBefore = manager.lines().length;
    calm = others();
  });
  afterEach(async () => {
    for (const each of agents.splice(0)) each.close();
    for (const each of raw.splice(0)) each.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await calm.stop();
    const { code, stdout } = await manager.shoal('node', 'ls', '--format', '{{.Hostname}} {{.Status}}');
    assert.equal(code, 0);
    assert.match(stdout, /^good Ready$/m);
    assert.equal(manager.exit(), undefined);
  });

  /** A client and an agent that behave: what they do works throughout, if slowly. */
  function others(): { stop(): Promise<void> } {
    const problems: string[] = [];
    const ending = new AbortController();
    const answersBefore = good.answers().length;
    const asking = (async () => {
      while (!ending.signal.aborted) {
        await control
          .getCluster(GetClusterRequest.create({}), { deadlineMs: PATIENCE_MS })
          .catch((error: unknown) => problems.push(String(error)));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    return {
      async stop() {
        ending.abort();
        await asking;
        await until(() => good.answers().length > answersBefore, 'the good agent is answered');
        assert.deepEqual(problems, []);
        assert.equal(good.ended(), undefined);
      },
    };
  }
  function agent(options?: FakeAgentOptions): FakeAgent {
    const made = fakeAgent(manager.address, options);
    agents.push(made);
    return made;
  }
  async function endOf(made: FakeAgent): Promise<string> {
    await until(() => made.ended() !== undefined, 'its stream ends', PATIENCE_MS);
    return made.ended()?.code ?? '';
  }
  function http2(): RawConnection {
    const made = rawConnection(manager.address);
    raw.push(made);
    return made;
  }
  function tcp(bytes?: Uint8Array | string): Socket {
    const [host = '', port = ''] = manager.address.split(':');
    const socket = connect({ host, port: Number(port) });
    socket.on('error', () => undefined);
    socket.resume();
    if (bytes !== undefined) socket.write(bytes);
    sockets.push(socket);
    return socket;
  }
  const warnings = (): readonly ManagerLine[] =>
    manager
      .lines()
      .slice(linesBefore)
      .filter(({ level }) => level === 'warn' || level === 'error');
  const allClosed = (what: readonly { readonly closed: boolean }[]): boolean => what.every(({ closed }) => closed);

  it('that send bytes which are no messages are refused, each call, and in one line of the log', async () => {
    const client = http2();
    const garbage = [Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.from([0x0a, 0x7f, 0x01]), randomBytes(1000)];
    const codes = new Set<string>();
    for (let i = 0; i < 100; i++) {
      for (const path of [CREATE, SESSION, TASK_STREAM, PEER_STREAM, EXEC]) {
        const stream = client.call(path, framed(garbage[i % 2] ?? Buffer.alloc(0)));
        stream.end();
        codes.add(await statusOf(stream));
      }
    }
    assert.deepEqual([...codes], [INVALID_ARGUMENT]);
    const [line, ...more] = warnings().filter(({ message }) => message === 'a call was refused');
    assert.match(String(line?.['reason']), /malformed message/);
    assert.match(String(line?.['peer']), /^127\.0\.0\.1/);
    assert.ok(more.length <= 2, `${more.length} more lines`);
  });

  it('that send messages over the limit are refused before these are in memory', async () => {
    const before = await manager.rssBytes();
    const client = http2();
    const chunk = Buffer.alloc(1024 * 1024);
    for (const path of [CREATE, SESSION]) {
      const stream = client.call(path, framed(chunk, 1024 * 1024 * 1024));
      const status = statusOf(stream);
      for (let i = 0; i < 20 && !stream.destroyed; i++) stream.write(chunk);
      assert.equal(await status, RESOURCE_EXHAUSTED);
    }
    const named = await statusOf(client.call(CREATE, framed(Buffer.alloc(0), 5 * 1024 * 1024)));
    assert.equal(named, RESOURCE_EXHAUSTED);
    const lines = warnings().filter(({ message }) => message === 'a call was refused');
    assert.ok(lines.length <= 2);
    assert.ok((await manager.rssBytes()) - before < 100 * 1024 * 1024);
  });

  it('that speak something else are turned away', async () => {
    const random = Array.from({ length: 50 }, (_, i) => tcp(randomBytes(1 + i * 1000)));
    const broken = Array.from({ length: 20 }, () =>
      tcp(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), randomBytes(5000)])),
    );
    await until(() => allClosed([...random, ...broken]), 'all are closed');
    const response = await fetch(`http://${manager.address}/`);
    assert.equal(response.status, 426);
    assert.match(await response.text(), /gRPC/);
    const tls = tcp(Buffer.from('160301020001000', 'hex'));
    await until(() => tls.closed, 'TLS is refused');
    const client = http2();
    for (const path of ['/', '/shoal.v1.Control/Nonsense', '/shoal.v1.Control/GetCluster/x']) {
      assert.equal(await statusOf(client.call(path, framed(Buffer.alloc(0)))), '12', path);
    }
    const lines = warnings();
    assert.ok(lines.some(({ message }) => message.includes('does not speak gRPC')));
    assert.ok(lines.some(({ message }) => message.includes('broke HTTP/2')));
    assert.ok(lines.length <= 5, JSON.stringify(lines));
  });

  it('that say nothing, or begin messages and never end them, are given up, and hold little memory', async () => {
    const before = await manager.rssBytes();
    const partial = framed(Buffer.alloc(50_000), 4 * 1024 * 1024);
    const begun = Array.from({ length: 4 }, () => http2()).flatMap((each) =>
      Array.from({ length: 100 }, () => statusOf(each.call(CREATE, partial))),
    );
    const idle = Array.from({ length: 200 }, () => tcp());
    const slow = tcp('PRI * HT');
    // A real preface, an empty SETTINGS frame, and then no answer to any ping.
    const mute = Array.from({ length: 10 }, () =>
      tcp(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('000000040000000000', 'hex')])),
    );
    const client = http2();
    const calls = [SESSION, TASK_STREAM, PEER_STREAM, EXEC, CREATE].map((path) => statusOf(client.call(path, Buffer.alloc(0))));
    assert.deepEqual(await Promise.all(calls), [INVALID_ARGUMENT, INVALID_ARGUMENT, INVALID_ARGUMENT, '4', '4']);
    await until(() => allClosed([...idle, slow, ...mute]), 'all are closed', PATIENCE_MS);
    assert.deepEqual([...new Set(await Promise.all(begun))], ['4']);
    assert.ok((await manager.rssBytes()) - before < 200 * 1024 * 1024);
    const lines = warnings();
    assert.ok(lines.some(({ reason }) => String(reason).includes('said nothing')));
    assert.ok(lines.length <= 10, JSON.stringify(lines));
  });

  it('that open thousands of silent sessions keep no agent out', async () => {
    const clients = Array.from({ length: 12 }, () => http2());
    const ends: string[] = [];
    for (const client of clients) {
      for (let i = 0; i < 900; i++) void statusOf(client.call(SESSION, Buffer.alloc(0))).then((status) => ends.push(status));
      // This process has its own pings to answer.
      await new Promise((resolve) => setImmediate(resolve));
    }
    // More of them than there may be sessions.
    await until(
      () => ends.length >= 700,
      () => `the first are ended; ${ends.length} are`,
      PATIENCE_MS,
    );
    const late = agent({ register: { description: DESCRIPTION, bootId: 'late' } });
    await late.untilRegistered();
    await until(
      () => ends.length >= 10_000,
      () => `all are ended; ${ends.length} are`,
      PATIENCE_MS,
    );
    assert.ok(warnings().length < 200);
    await removeNode(late.nodeId());
  });

  it('that report tasks of others or of nobody change nothing, and are named once', async () => {
    const request = CreateServiceRequest.create({ spec: specOf({ spec: { name: 'victim' } }), noResolveImage: true });
    const created = await control.createService(request);
    await until(() => good.book().tasks.size === 1, 'the good agent has the task');
    const [taskId = ''] = good.book().tasks.keys();
    good.report(taskId, TaskState.RUNNING);
    const stateOf = async (): Promise<TaskState | undefined> =>
      (await control.listTasks(ListTasksRequest.create({ taskRefs: [taskId] }))).tasks[0]?.state;
    await until(async () => (await stateOf()) === TaskState.RUNNING, 'it runs');

    const liar = agent({ register: { description: NodeDescription.create({ hostname: 'liar' }), bootId: 'liar' } });
    await liar.untilRegistered();
    for (let i = 0; i < 200; i++) {
      const statuses = [taskId, systemIds.next(), '../../etc/passwd', ''].map((id) =>
        TaskStatus.create({ taskId: id, state: TaskState.FAILED }),
      );
      liar.send({ case: 'statuses', value: { statuses, complete: i === 0 } });
    }
    const answers = liar.answers().length;
    await until(() => liar.answers().length > answers + 1, 'all was read');
    assert.equal(await stateOf(), TaskState.RUNNING);
    assert.equal(liar.ended(), undefined);
    assert.equal(warnings().filter(({ message }) => message.includes('not its own')).length, 1);
    liar.report(taskId, TaskState.ORPHANED);
    assert.equal(await endOf(liar), 'invalid_argument', 'no state that an agent may report');
    await control.removeService(RemoveServiceRequest.create({ ref: created.service?.id ?? '' }));
    await until(() => [...good.book().tasks.values()].every(({ desired }) => desired === TaskState.REMOVE), 'it is told to end');
    good.report(taskId, TaskState.SHUTDOWN);
    await removeNode(liar.nodeId());
  });

  it('that claim the identity of another node are refused, and the node stays with its agent', async () => {
    const { nodeId, clusterId } = good.registered() ?? { nodeId: '', clusterId: '' };
    const claim = { nodeId, clusterId, description: DESCRIPTION };
    const thief = agent({ register: { ...claim, bootId: 'another boot' } });
    assert.equal(await endOf(thief), 'failed_precondition');
    assert.match(thief.ended()?.message ?? '', /another agent with the identity of node .* is connected/);
    assert.equal(await endOf(agent({ register: { ...claim, bootId: '' } })), 'failed_precondition');
    assert.equal(await endOf(agent({ register: { ...claim, clusterId: systemIds.next(), bootId: 'good-boot' } })), 'failed_precondition');
    assert.equal(await endOf(agent({ register: { ...claim, nodeId: systemIds.next(), bootId: 'good-boot' } })), 'permission_denied');
    assert.ok(warnings().every(({ message }) => message === 'an agent was not registered'));
  });

  it('that register as something impossible are refused, every field named, and leave no node behind', async () => {
    const before = (await control.getCluster(GetClusterRequest.create({}))).nodes;
    const register = (description: Partial<NodeDescription>): FakeAgent =>
      agent({ register: { description: NodeDescription.create({ ...DESCRIPTION, ...description }) } });
    const refused: readonly (readonly [Partial<NodeDescription>, RegExp])[] = [
      [{ hostname: 'x'.repeat(3 * 1024 * 1024) }, /description\.hostname: at most 255/],
      [{ hostname: '\u001b[2J' }, /description\.hostname: has control characters/],
      [{ resources: { nanoCpus: -1, memoryBytes: -5, pids: 0 } }, /nano_cpus.*memory_bytes/],
      [{ resources: { nanoCpus: Number.MAX_SAFE_INTEGER, memoryBytes: 0, pids: 0 } }, /nano_cpus/],
      [{ meshAddresses: Array.from({ length: 150 }, () => 'y'.repeat(1000)) }, /description: at most/],
    ];
    for (const [description, message] of refused) {
      const made = register(description);
      assert.equal(await endOf(made), 'invalid_argument', String(message));
      assert.match(made.ended()?.message ?? '', message);
      assert.ok((made.ended()?.message.length ?? 0) < 1000, 'it is not given back what it sent');
    }
    const hostname = 'x'.repeat(10 * 1024 * 1024);
    const huge = AgentMessage.encode({
      message: { case: 'register', value: Register.create({ nonce: 'n', description: NodeDescription.create({ hostname }) }) },
    });
    assert.equal(await statusOf(http2().call(SESSION, framed(huge))), RESOURCE_EXHAUSTED);
    assert.equal((await control.getCluster(GetClusterRequest.create({}))).nodes, before);
    assert.ok(manager.output().length < 1024 * 1024, 'nor is the log');
  });

  it('that ask for much and never read hold little memory', async () => {
    const env = Array.from({ length: 12 }, (_, i) => `V${i}=${'z'.repeat(8000)}`);
    const services: string[] = [];
    for (let i = 0; i < 30; i++) {
      const container = ContainerSpec.create({ image: 'nginx', env });
      const spec = specOf({ spec: { name: `large-${i}`, replicas: 0 }, container });
      const { service } = await control.createService(CreateServiceRequest.create({ spec, noResolveImage: true }));
      services.push(service?.id ?? '');
    }
    const answer = await control.listServices(ListServicesRequest.create({}));
    assert.equal(answer.services.length, 30);
    const before = await manager.rssBytes();
    const greedy = http2();
    let opened = 0;
    let ended = 0;
    for (; opened < 600 && !greedy.closed; opened++) {
      const stream = greedy.call(LIST, framed(Buffer.alloc(0)));
      stream.on('close', () => ended++);
      stream.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => greedy.closed || ended > opened - 100, 'no more is taken from it', PATIENCE_MS);
    const grown = (await manager.rssBytes()) - before;
    assert.ok(grown < 400 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB more`);
    greedy.close();
    for (const id of services) await control.removeService(RemoveServiceRequest.create({ ref: id }));
  });

  async function removeNode(nodeId: string): Promise<void> {
    for (const each of agents.splice(0)) each.close();
    await control.removeNode({ ref: nodeId, force: true });
  }
});
