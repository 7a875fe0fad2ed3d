import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { type ShoalError } from '../../../lib/errors.ts';
import { encodeFrame } from '../../../lib/frames.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { DataPath, PortProtocol, RouteTableDelta, TargetState } from '../../../proto/index.ts';
import { Mesh } from '../../../mesh/mesh.ts';
import { connectAgent, type MeshAgent } from '../../support/mesh-agent.ts';
import { noKernel } from '../../support/no-kernel.ts';
import { draining, epochOf, routeOf, tableOf, targetOf } from '../../support/routes.ts';
import { echo, freePort, openClient, ownLoopback, type Replica, startReplica } from '../../support/sockets.ts';
import { openUdp } from '../../support/udp-mesh.ts';
import { until } from '../../support/until.ts';

describe('mesh and agent', () => {
  let dataDir = '';
  let port = 0;
  let replica: Replica;
  let stopAsked: number | undefined;
  const meshes: Mesh[] = [];
  const agents: MeshAgent[] = [];

  const newMesh = (): Mesh =>
    new Mesh({
      clock: systemClock,
      rng: seededRng(3),
      log: silentLogger,
      dataDir,
      nodeId: 'node-a',
      listen: [ownLoopback()],
      kernel: noKernel,
      version: '1.2.3',
      onStop: (periodMs) => {
        stopAsked = periodMs;
      },
    });
  const start = async (): Promise<Mesh> => {
    const mesh = newMesh();
    await mesh.start();
    meshes.push(mesh);
    return mesh;
  };
  const connect = async (): Promise<MeshAgent> => {
    const agent = await connectAgent(dataDir);
    agents.push(agent);
    return agent;
  };
  const greeted = async (): Promise<MeshAgent> => {
    const agent = await connect();
    agent.hello();
    await until(() => agent.last('portProblems') !== undefined, 'the mesh greets');
    return agent;
  };
  const answers = async (): Promise<void> => {
    const client = openClient(port, ownLoopback());
    await until(() => client.text() === 'hi', client.text);
    client.socket.destroy();
  };

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'shoal-mesh-'));
    port = await freePort();
    replica = await startReplica(echo('hi'));
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    for (const mesh of meshes.splice(0)) await mesh.stop(0);
    await replica.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('greet each other; a table is served when it is acknowledged', async () => {
    const mesh = await start();
    const agent = await greeted();
    assert.deepEqual(agent.reports[0], {
      case: 'ready',
      value: { version: '1.2.3', pid: process.pid, epoch: undefined, answersPings: true, answersStatus: true, handsOver: true },
    });
    await agent.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    await answers();
    assert.equal(mesh.epoch?.revision, 5);
    await agent.table(tableOf(5, []));
    await answers();
  });

  it('tell what each port does: path, targets, open connections, problems', async () => {
    await start();
    const agent = await greeted();
    const dead = targetOf('b', await freePort(), { nodeId: 'node-c' });
    await agent.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port), draining(dead)]), routeOf(0, [])]));
    const client = openClient(port, ownLoopback());
    await until(() => client.text() === 'hi', client.text);
    agent.send({ case: 'status', value: { sequence: 3, targets: true, after: undefined } });
    await until(() => agent.last('status') !== undefined, 'a page');
    const page = agent.last('status');
    assert.deepEqual(
      [page?.sequence, page?.version, page?.pid, page?.epoch?.revision, page?.next],
      [3, '1.2.3', process.pid, 5, undefined],
    );
    const [none, served] = page?.ports ?? [];
    assert.deepEqual([none?.publishedPort, none?.problem], [0, 'not a port number']);
    assert.deepEqual([served?.publishedPort, served?.dataPath, served?.problem], [port, DataPath.PATH_PROXY, '']);
    const [route] = served?.routes ?? [];
    assert.deepEqual([route?.serviceName, route?.activeTargets, route?.drainingTargets], ['web', 1, 1]);
    assert.deepEqual([route?.open, route?.total, route?.refused], [1, 1, 0]);
    assert.deepEqual(
      route?.targets.map(({ taskId, address, state, open }) => [taskId, address, state, open]),
      [
        ['a', `127.0.0.1:${replica.port}`, TargetState.TARGET_ACTIVE, 1],
        ['b', `127.0.0.1:${dead.nodePort}`, TargetState.TARGET_DRAINING, 0],
      ],
    );
    client.socket.destroy();
  });

  it('serve tcp and udp on one port number', async () => {
    const mesh = await start();
    const agent = await greeted();
    const server = await openUdp((text) => `${text} too`);
    await agent.table(
      tableOf(1, [
        routeOf(port, [targetOf('a', replica.port)]),
        routeOf(port, [targetOf('b', server.port)], { protocol: PortProtocol.UDP }),
      ]),
    );
    await answers();
    const client = await openUdp();
    await until(() => {
      client.socket.send('udp', port, ownLoopback());
      return client.got.includes('udp too');
    }, 'an answer');
    assert.deepEqual([mesh.counters.tcp.get(port)?.connections, mesh.counters.udp.get(port)?.flows], [1, 1]);
    client.close();
    server.close();
  });

  it('go on by deltas; a gap brings a request for the whole table, an older table a failure', async () => {
    await start();
    const agent = await greeted();
    agent.send({ case: 'delta', value: RouteTableDelta.create({ base: epochOf(4), result: epochOf(5) }) });
    await until(() => agent.last('needFull') !== undefined, 'need full');
    assert.equal(agent.last('needFull')?.revision, 0);
    await agent.table(tableOf(5, []));
    agent.send({
      case: 'delta',
      value: RouteTableDelta.create({
        base: epochOf(5),
        result: epochOf(6),
        putPorts: [routeOf(port, [targetOf('a', replica.port)])],
      }),
    });
    await until(() => agent.last('ack')?.revision === 6, 'the delta is acknowledged');
    await answers();
    agent.send({ case: 'delta', value: RouteTableDelta.create({ base: epochOf(7), result: epochOf(8) }) });
    await until(() => agent.last('needFull')?.revision === 6, 'need full');
    agent.send({ case: 'table', value: tableOf(4, []) });
    await until(() => agent.last('failure')?.code === 'conflict', 'a failure');
    await answers();
  });

  it('keep a new table through a restart, without an agent', async () => {
    const first = await start();
    const agent = await greeted();
    await agent.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    await first.stop(0);
    meshes.length = 0;
    const second = await start();
    assert.equal(second.epoch?.revision, 5);
    await answers();
    assert.equal((await greeted()).last('ready')?.epoch?.revision, 5);
  });

  it('start without a table where the saved one is damaged', async () => {
    await writeFile(join(dataDir, 'table.bin'), 'not a table');
    const mesh = await start();
    assert.equal(mesh.epoch, undefined);
    await (await greeted()).table(tableOf(5, []));
  });

  it('send nothing new to what has ended here, by the word of the agent alone and whatever the next table says', async () => {
    await start();
    const agent = await greeted();
    const other = await startReplica(echo('other'));
    const both = (revision: number): Promise<void> =>
      agent.table(tableOf(revision, [routeOf(port, [targetOf('a', replica.port), targetOf('b', other.port)])]));
    const reaches = async (): Promise<string> => {
      const client = openClient(port, ownLoopback());
      await until(() => client.text() !== '', 'an answer');
      client.socket.destroy();
      return client.text();
    };
    await both(5);
    agent.send({ case: 'ended', value: { taskIds: ['a', 'older'] } });
    for (let revision = 6; revision < 16; revision++) {
      await both(revision);
      assert.equal(await reaches(), 'other');
    }
    agent.send({ case: 'ended', value: { taskIds: ['b'] } });
    await until(async () => (await reaches()) === 'hi', 'the list is complete each time');
    await other.stop();
  });

  it('part when a newer agent comes: the newest is told everything, the older is closed', async () => {
    await start();
    const older = await greeted();
    const taken = await freePort();
    const holder = await startReplica(echo(), ownLoopback(), taken);
    await older.table(tableOf(5, [routeOf(port, [draining(targetOf('a', replica.port))]), routeOf(taken, [])]));
    const newer = await greeted();
    await until(() => older.closed, 'the older one is closed');
    assert.equal(newer.last('ready')?.epoch?.revision, 5);
    assert.deepEqual(newer.last('idle')?.idleTaskIds, ['a']);
    assert.deepEqual(
      newer.last('portProblems')?.ports.map((problem) => problem.publishedPort),
      [taken],
    );
    await holder.stop();
    await until(() => newer.last('portProblems')?.ports.length === 0, 'the port is open after all');
  });

  it('keep ports answering when the agent dies in the middle of a frame', async () => {
    await start();
    const agent = await greeted();
    await agent.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port)])]));
    agent.sendRaw(Buffer.from([0, 0, 1, 0, 7]));
    agent.close();
    await answers();
    await greeted();
  });

  it('agree on which draining tasks are idle: at each change, and under the epoch before its acknowledgement', async () => {
    await start();
    const agent = await greeted();
    await agent.table(tableOf(5, [routeOf(port, [targetOf('a', replica.port), targetOf('b', replica.port)])]));
    const client = openClient(port, ownLoopback());
    await until(() => client.text() === 'hi', client.text);
    await agent.table(tableOf(6, [routeOf(port, [draining(targetOf('a', replica.port)), draining(targetOf('b', replica.port))])]));
    const order = agent.reports.map((report) => report.case);
    assert.ok(order.lastIndexOf('idle') < order.lastIndexOf('ack'), order.join());
    assert.equal(agent.last('idle')?.epoch?.revision, 6);
    assert.equal(agent.last('idle')?.idleTaskIds.length, 1);
    client.socket.destroy();
    await until(() => agent.last('idle')?.idleTaskIds.length === 2, 'both are idle');
    await agent.table(tableOf(7, []));
    assert.deepEqual(agent.last('idle'), { epoch: epochOf(7), idleTaskIds: [] });
  });

  it('refuse each other where the node or the cluster is another', async () => {
    await start();
    const agent = await greeted();
    await agent.table(tableOf(5, []));
    for (const [nodeId, clusterId] of [
      ['node-b', 'cluster-a'],
      ['node-a', 'cluster-b'],
    ]) {
      const stranger = await connect();
      stranger.hello(nodeId, clusterId);
      await until(() => stranger.closed, 'the stranger is closed');
      assert.deepEqual(
        stranger.reports.map((report) => (report.case === 'failure' ? report.value.code : report.case)),
        ['permission_denied'],
      );
    }
    assert.equal(agent.closed, false);
  });

  it('hear no agent that speaks out of turn or nonsense', async () => {
    await start();
    const frames = [encodeFrame(Buffer.from([0xff, 0xff, 0xff])), Buffer.from([0xff, 0xff, 0xff, 0xff]), undefined];
    for (const frame of frames) {
      const agent = await connect();
      if (frame === undefined) agent.send({ case: 'table', value: tableOf(5, []) });
      else agent.sendRaw(frame);
      await until(() => agent.closed, 'it is closed');
      assert.equal(agent.last('failure')?.code, 'invalid_argument');
    }
    await greeted();
  });

  it('end when the agent says so', async () => {
    await start();
    (await greeted()).send({ case: 'stop', value: { drainPeriodMs: 1234 } });
    await until(() => stopAsked === 1234, 'the stop arrives');
  });

  it('are one pair per data directory: a second mesh refuses, a leftover socket is replaced', async () => {
    const first = await start();
    assert.equal((await stat(join(dataDir, 'mesh.sock'))).mode & 0o777, 0o600);
    await assert.rejects(
      newMesh().start(),
      (error: ShoalError) => error.code === 'failed_precondition' && /another mesh already runs/.test(error.message),
    );
    await greeted();
    await first.stop(0);
    meshes.length = 0;
    await writeFile(join(dataDir, 'mesh.sock'), '');
    await start();
    await greeted();
  });
});

describe('a plain accept, for a Node whose servers have no raw connections', () => {
  it('carries bytes like the other', async () => {
    const { acceptClients, copyOf } = await import('../../../mesh/tcp/sockets.ts');
    const server = acceptClients((client) => {
      client.on('end', () => client.end());
      setImmediate(() => client.resume());
      return (piece) => client.write(copyOf(piece));
    }, true);
    const port = await freePort();
    await new Promise<void>((resolve) => {
      server.on('listening', resolve);
      server.listen({ host: ownLoopback(), port });
    });
    const client = openClient(port, ownLoopback());
    client.socket.end('there and back');
    await until(() => client.ended && client.text() === 'there and back', client.text);
    server.close();
  });
});
