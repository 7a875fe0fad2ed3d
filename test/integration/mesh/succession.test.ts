// One mesh process after another on the same ports: after an upgrade and after kill -9, under a load of new connections.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer, get, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endHolder } from '../../../agent/mesh/mesh-process.ts';
import { isAlive, type ProcessId, processId, signalProcess } from '../../../lib/process-id.ts';
import { HttpRule, IngressSettings, PortProtocol } from '../../../proto/index.ts';
import { connectAgent, type MeshAgent } from '../../support/mesh-agent.ts';
import { draining, routeOf, tableOf, targetOf } from '../../support/routes.ts';
import { echo, freePort, openClient, ownLoopback, type Replica, startReplica } from '../../support/sockets.ts';
import { openUdp } from '../../support/udp-mesh.ts';
import { until } from '../../support/until.ts';
import { startVisitors } from '../../support/visitors.ts';

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const DRAIN_MS = 60_000;

describe('mesh processes, one after another', function () {
  this.timeout(60_000);
  let dataDir = '';
  let port = 0;
  let replica: Replica;
  const children: ChildProcess[] = [];
  const agents: MeshAgent[] = [];
  const known = new Set<ProcessId>();

  const command = (): string[] => [
    process.execPath,
    ...['--import', 'tsx', join(ROOT, 'cli/main.ts'), 'mesh', '--data-dir', dataDir, '--node-id', 'node-a'],
    ...['--listen', ownLoopback(), '--log-format', 'json'],
  ];
  const start = (): ChildProcess => {
    const [program = '', ...args] = command();
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'ignore'] });
    children.push(child);
    return child;
  };
  /** The process that answers now, other than `before`. */
  const agent = async (before = 0): Promise<{ readonly agent: MeshAgent; readonly id: ProcessId }> => {
    let connected: MeshAgent | undefined;
    await until(async () => {
      const next = await connectAgent(dataDir);
      connected = next;
      next.hello();
      agents.push(next);
      await until(() => next.closed || next.reports.length > 0, 'a report');
      return (next.last('ready')?.pid ?? before) !== before;
    }, 'a mesh that greets');
    assert.ok(connected);
    const id = processId(connected.last('ready')?.pid ?? 0);
    known.add(id);
    return { agent: connected, id };
  };
  const holder = (): ProcessId | undefined => {
    try {
      return JSON.parse(readFileSync(join(dataDir, 'holder.json'), 'utf8')) as ProcessId;
    } catch {
      return undefined;
    }
  };
  const handOver = async (from: MeshAgent, pid: number, drainPeriodMs = DRAIN_MS): ReturnType<typeof agent> => {
    from.send({ case: 'handOver', value: { command: command(), drainPeriodMs } });
    await until(
      () => from.closed,
      () => `the old process lets go; ${JSON.stringify(from.last('failure'))}`,
    );
    return agent(pid);
  };

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'shoal-mesh-'));
    port = await freePort();
    replica = await startReplica(echo('hi'));
  });
  afterEach(async () => {
    for (const each of agents.splice(0)) each.close();
    endHolder(dataDir);
    for (const id of known) signalProcess(id, 'SIGKILL');
    known.clear();
    for (const child of children.splice(0)) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await replica.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('refuse nobody when one is killed: its sockets wait for the next', async () => {
    start();
    const { agent: first, id } = await agent();
    await first.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    await until(() => holder() !== undefined, 'the sockets are kept');
    const clients = startVisitors(port, ownLoopback());
    await until(() => clients.answers > 50, 'load');
    const kept = holder();
    assert.ok(kept !== undefined && signalProcess(id, 'SIGKILL'));
    await until(() => first.closed, 'it is dead');
    const answersBefore = clients.answers;
    signalProcess(kept, 'SIGUSR1');
    const next = await agent(id.pid);
    assert.equal(next.id.pid, kept.pid);
    await until(() => clients.answers > answersBefore + 50, 'load');
    await clients.stop();
    // Only those that were in the killed process.
    assert.ok(clients.failures.length <= 4, clients.failures.join());
    assert.ok(!clients.failures.includes('ECONNREFUSED'), clients.failures.join());
    assert.equal(next.agent.last('ready')?.epoch?.revision, 5);
  });

  it('fail nobody when one hands over to another; what is open goes on in the old one', async () => {
    start();
    const { agent: first, id } = await agent();
    await first.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    const open = openClient(port, ownLoopback());
    await until(() => open.text() === 'hi', open.text);
    const clients = startVisitors(port, ownLoopback());
    await until(() => clients.answers > 50, 'load');
    const second = await handOver(first, id.pid);
    const answersBefore = clients.answers;
    await until(() => clients.answers > answersBefore + 50, 'load');
    const third = await handOver(second.agent, second.id.pid);
    await until(() => clients.answers > answersBefore + 200, 'load');
    await clients.stop();
    assert.deepEqual(clients.failures, []);
    assert.ok(isAlive(id), 'the first one has a connection');
    open.socket.write('!');
    await until(() => open.text() === 'hi!', open.text);
    open.socket.end();
    await until(() => !isAlive(id) && !isAlive(second.id), 'the old ones are gone with their last connections');
    assert.ok(isAlive(third.id));
  });

  it('count the connections of both: a draining task is idle when the old one has none of it, too', async () => {
    start();
    const { agent: first, id } = await agent();
    const a = targetOf('a', replica.port);
    await first.table(tableOf(5, [routeOf(port, [a])]));
    const open = openClient(port, ownLoopback());
    await until(() => open.text() === 'hi', open.text);
    const { agent: second } = await handOver(first, id.pid);
    await second.table(tableOf(6, [routeOf(port, [draining(a), targetOf('b', replica.port)])]));
    assert.deepEqual(second.last('idle')?.idleTaskIds, []);
    open.socket.destroy();
    await until(() => second.last('idle')?.idleTaskIds.includes('a') === true, 'idle');
  });

  it('let the old one follow new tables: its clients that wait get a replica that came later', async () => {
    start();
    const { agent: first, id } = await agent();
    await first.table(tableOf(5, [routeOf(port, [], { paused: true })]));
    const waiting = openClient(port, ownLoopback());
    await once(waiting.socket, 'connect');
    const { agent: second } = await handOver(first, id.pid);
    await second.table(tableOf(6, [routeOf(port, [targetOf('b', replica.port)])]));
    await until(
      () => waiting.text() === 'hi',
      () => `${waiting.text()} ${String(waiting.error)}`,
    );
    waiting.socket.destroy();
  });

  it('break no kept HTTP connection off: it ends with an answer', async () => {
    const server: Server = createServer((_req, res) => res.end('page'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const settings = IngressSettings.create({ http: HttpRule.create({ host: '', path: '/' }) });
    const target = targetOf('a', (server.address() as AddressInfo).port);
    const keeping = new Agent({ keepAlive: true, maxSockets: 4 });
    const ask = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const request = get({ host: ownLoopback(), port, agent: keeping, path: '/' }, (response) => {
          response.resume();
          response.on('end', () => {
            resolve(response.headers.connection ?? '');
          });
          response.on('error', reject);
        });
        request.on('error', reject);
      });
    try {
      start();
      const { agent: first, id } = await agent();
      await first.table(tableOf(5, [routeOf(port, [target], { protocol: PortProtocol.HTTP, settings })]));
      assert.equal(await ask(), 'keep-alive');
      const { id: second } = await handOver(first, id.pid);
      // The kept connection leads to the old process still.
      assert.equal(await ask(), 'close');
      assert.equal(await ask(), 'keep-alive');
      await until(() => !isAlive(id), 'the old one is gone');
      assert.ok(isAlive(second));
    } finally {
      keeping.destroy();
      server.close();
    }
  });

  it('pass udp ports on', async () => {
    start();
    const { agent: first, id } = await agent();
    const server = await openUdp((text) => `${text} too`);
    await first.table(tableOf(5, [routeOf(port, [targetOf('a', server.port)], { protocol: PortProtocol.UDP })]));
    const { agent: second } = await handOver(first, id.pid);
    await until(() => !isAlive(id), 'the old one is gone');
    assert.deepEqual(second.last('portProblems')?.ports, []);
    const client = await openUdp();
    client.socket.send('udp', port, ownLoopback());
    await until(() => client.got.includes('udp too'), 'an answer');
    client.close();
    server.close();
  });

  it('go on with the old one where the new one does not come up', async () => {
    start();
    const { agent: first } = await agent();
    await first.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    first.send({ case: 'handOver', value: { command: ['/bin/false'], drainPeriodMs: DRAIN_MS } });
    await until(() => first.last('failure') !== undefined, 'a failure');
    assert.match(first.last('failure')?.message ?? '', /ended at once \(1\); this one goes on/);
    await first.table(tableOf(6, [routeOf(port, [targetOf('a', replica.port)])]));
    const client = openClient(port, ownLoopback());
    await until(() => client.text() === 'hi', client.text);
    client.socket.destroy();
  });

  it('keep no port that is no longer published, and none without an agent', async () => {
    start();
    const { agent: first } = await agent();
    await first.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    await until(() => holder() !== undefined, 'the sockets are kept');
    const before = holder();
    const refused = async (): Promise<boolean> => {
      const client = openClient(port, ownLoopback());
      await until(() => client.error !== undefined || client.text() !== '' || client.ended, 'an answer');
      client.socket.destroy();
      return client.error === 'ECONNREFUSED';
    };
    await first.table(tableOf(6, []));
    await until(refused, 'the port refuses');
    assert.ok(before !== undefined && !isAlive(before));
    await first.table(tableOf(7, [routeOf(port, [targetOf('a', replica.port)])]));
    await until(() => holder() !== undefined, 'the sockets are kept again');
    first.close();
    await until(() => holder() === undefined, 'nobody would start it again');
  });
});
