// The mesh as the process that it is: killed, started twice, asked to stop, short of file descriptors.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectAgent, type MeshAgent } from '../../support/mesh-agent.ts';
import { routeOf, tableOf, targetOf } from '../../support/routes.ts';
import { type Client, echo, freePort, openClient, ownLoopback, type Replica, startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

interface MeshProcess {
  readonly child: ChildProcess;
  /** What it logged. */
  readonly log: () => string;
  readonly exit: Promise<number | string>;
}

describe('mesh process', function () {
  this.timeout(60_000);
  let dataDir = '';
  let port = 0;
  let replica: Replica;
  const running: MeshProcess[] = [];
  const agents: MeshAgent[] = [];

  const start = (extra: readonly string[] = [], wrapper: readonly string[] = []): MeshProcess => {
    const shoal = [process.execPath, '--import', 'tsx', join(ROOT, 'cli/main.ts'), 'mesh', '--data-dir', dataDir, '--node-id', 'node-a'];
    const [program = '', ...args] = [...wrapper, ...shoal, '--listen', ownLoopback(), '--log-format', 'json', ...extra];
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const exit = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
    const started = { child, log: () => text, exit };
    running.push(started);
    return started;
  };
  const agent = async (): Promise<MeshAgent> => {
    let connected: MeshAgent | undefined;
    await until(async () => {
      connected = await connectAgent(dataDir);
      connected.hello();
      agents.push(connected);
      const { reports } = connected;
      await until(() => reports.length > 0, 'a report', 2000);
      return connected.last('ready') !== undefined;
    }, 'the mesh greets');
    assert.ok(connected);
    return connected;
  };
  const greeting = async (): Promise<Client> => {
    let client: Client | undefined;
    await until(async () => {
      client?.socket.destroy();
      const next = openClient(port, ownLoopback());
      client = next;
      await until(() => next.text() === 'hi' || next.error !== undefined, 'an answer', 6000);
      return next.text() === 'hi';
    }, 'the port answers');
    assert.ok(client);
    return client;
  };

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'shoal-mesh-'));
    port = await freePort();
    replica = await startReplica(echo('hi'));
  });
  afterEach(async () => {
    for (const each of agents.splice(0)) each.close();
    for (const { child, exit } of running.splice(0)) {
      child.kill('SIGKILL');
      await exit;
    }
    await replica.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('serves its last table again after kill -9, with no agent about', async () => {
    const first = start();
    await (await agent()).table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    (await greeting()).socket.destroy();
    first.child.kill('SIGKILL');
    await first.exit;
    start();
    (await greeting()).socket.destroy();
    assert.equal((await agent()).last('ready')?.epoch?.revision, 5);
  });

  it('refuses to be the second on a data directory, and says which it is', async () => {
    start();
    await agent();
    const second = start();
    assert.notEqual(await second.exit, 0);
    assert.match(second.log(), /another mesh already runs/);
  });

  it('lets open connections end after SIGTERM, then exits with 0', async () => {
    const mesh = start();
    await (await agent()).table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    const client = await greeting();
    mesh.child.kill('SIGTERM');
    await until(async () => {
      const refused = openClient(port, ownLoopback());
      await until(() => refused.error !== undefined || refused.text() !== '', 'an answer');
      refused.socket.destroy();
      return refused.error === 'ECONNREFUSED';
    }, 'no new connections');
    client.socket.write('!');
    await until(() => client.text() === 'hi!', client.text);
    client.socket.end();
    assert.equal(await mesh.exit, 0);
  });

  it('tells its health and counts', async () => {
    const health = await freePort();
    start(['--health-addr', `${ownLoopback()}:${health}`]);
    const get = async (path: string): Promise<{ readonly status: number; readonly body: string }> => {
      const answer = await fetch(`http://${ownLoopback()}:${health}${path}`, { signal: AbortSignal.timeout(2000) });
      return { status: answer.status, body: await answer.text() };
    };
    const told = await agent();
    await until(async () => (await get('/livez')).status === 200, '/livez');
    assert.equal((await get('/readyz')).status, 503);
    await told.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    assert.equal((await get('/readyz')).status, 200);
    const client = await greeting();
    const { body } = await get('/metrics');
    assert.match(body, new RegExp(`shoal_mesh_open_connections\\{port="${port}"\\} 1`));
    assert.match(body, /nodejs_eventloop_lag_seconds/);
    client.socket.destroy();
  });

  it('lives through a flood that takes all its file descriptors, and serves afterwards', async () => {
    const mesh = start([], ['prlimit', '--nofile=64:64']);
    await (await agent()).table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    const flood = Array.from({ length: 200 }, () => openClient(port, ownLoopback()));
    await until(
      () => flood.every((client) => client.text() === 'hi' || client.error !== undefined || client.ended),
      'each is answered or refused',
    );
    for (const client of flood) client.socket.destroy();
    (await greeting()).socket.destroy();
    assert.equal(mesh.child.exitCode, null);
  });
});
