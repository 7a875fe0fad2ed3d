import assert from 'node:assert/strict';
import { type PortProtocol } from '../../../proto/index.ts';
import { draining, routeOf, targetOf } from '../../support/routes.ts';
import { type Client, echo, freePort, openClient, type Replica, startReplica } from '../../support/sockets.ts';
import { startTcpMesh, type TcpMesh } from '../../support/tcp-mesh.ts';
import { until } from '../../support/until.ts';

describe('published ports', () => {
  let mesh: TcpMesh;
  let replica: Replica;
  const clients: Client[] = [];
  const keep = (client: Client): Client => {
    clients.push(client);
    return client;
  };
  const greeted = async (): Promise<Client> => {
    const client = keep(mesh.open());
    await until(() => client.text() === 'hi', client.text);
    return client;
  };

  beforeEach(async () => {
    mesh = await startTcpMesh();
    replica = await startReplica(echo('hi'));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await mesh.stop();
    await replica.stop();
  });

  it('open, change and close with the table; what is unchanged keeps its connections', async () => {
    const other = await freePort();
    await mesh.route([targetOf('a', replica.port)]);
    const client = await greeted();
    await mesh.route([targetOf('a', replica.port), targetOf('b', replica.port)], {}, [routeOf(other, [targetOf('a', replica.port)])]);
    const second = keep(openClient(other, mesh.address));
    await until(() => second.text() === 'hi', 'the new port answers');
    await mesh.route([targetOf('a', replica.port)]);
    const refused = keep(openClient(other, mesh.address));
    await until(() => refused.error === 'ECONNREFUSED', 'the removed port is closed');
    for (const each of [client, second]) {
      each.socket.write('!');
      await until(() => each.text() === 'hi!', 'open connections go on');
    }
  });

  it('reset clients that wait for a replica when the port goes', async () => {
    await mesh.route([]);
    const waiting = keep(mesh.open());
    await until(() => mesh.ports.connections === 1, 'it waits');
    await mesh.apply([]);
    await until(() => waiting.error === 'ECONNRESET', 'it is reset');
    assert.equal(mesh.counted, 0);
  });

  it('that something else holds are reported in plain words, tried again, and do not disturb the others', async () => {
    const taken = await freePort();
    const holder = await startReplica(echo('not the mesh'), mesh.address, taken);
    await mesh.route([targetOf('a', replica.port)], {}, [routeOf(taken, [targetOf('a', replica.port)])]);
    assert.deepEqual(
      mesh.ports.problems().map((problem) => problem.publishedPort),
      [taken],
    );
    assert.match(mesh.ports.problems()[0]?.message ?? '', /is taken by another program/);
    await greeted();
    const calls = mesh.problemCalls;
    assert.ok(calls > 0);
    await holder.stop();
    await until(() => mesh.ports.problems().length === 0, 'the port is opened');
    assert.ok(mesh.problemCalls > calls);
    const client = keep(openClient(taken, mesh.address));
    await until(() => client.text() === 'hi', client.text);
  });

  it('that are given up leave the list of problems', async () => {
    const taken = await freePort();
    const holder = await startReplica(echo(), mesh.address, taken);
    await mesh.apply([routeOf(taken, [])]);
    assert.equal(mesh.ports.problems().length, 1);
    await mesh.apply([]);
    assert.equal(mesh.ports.problems().length, 0);
    await holder.stop();
  });

  it('that the mesh cannot serve are reported: other protocols, impossible numbers', async () => {
    await mesh.apply([routeOf(81, [], { protocol: 9 as PortProtocol }), routeOf(70_000, [])]);
    const messages = mesh.ports.problems().map((problem) => `${problem.publishedPort}: ${problem.message}`);
    assert.deepEqual(messages, ['81: this version of the mesh does not know its protocol; update this node', '70000: not a port number']);
    await mesh.apply([]);
    assert.equal(mesh.ports.problems().length, 0);
  });

  it('give a draining replica nothing new, keep what it has, and say when it has none', async () => {
    const other = await startReplica(echo('other'));
    await mesh.route([targetOf('a', replica.port)]);
    const client = await greeted();
    await mesh.route([draining(targetOf('a', replica.port)), draining(targetOf('c', replica.port)), targetOf('b', other.port)]);
    assert.deepEqual(mesh.ports.idle(), ['c']);
    for (let i = 0; i < 10; i++) {
      const next = keep(mesh.open());
      await until(() => next.text() === 'other', next.text);
    }
    client.socket.write('!');
    await until(() => client.text() === 'hi!', client.text);
    assert.deepEqual(mesh.idleCalls, []);
    client.socket.end();
    await until(() => mesh.idleCalls.length > 0, 'it is idle');
    assert.deepEqual(mesh.idleCalls, [['a', 'c']]);
    await mesh.route([targetOf('b', other.port)]);
    assert.deepEqual(mesh.ports.idle(), []);
    await other.stop();
  });

  it('let the connections of a replica that left the table end by themselves', async () => {
    await mesh.route([targetOf('a', replica.port)]);
    const client = await greeted();
    await mesh.route([]);
    client.socket.write('!');
    await until(() => client.text() === 'hi!', client.text);
    client.socket.end();
    await until(() => client.closed, 'it ends');
  });

  it('wait at their end for open connections, and no longer than they may', async () => {
    await mesh.route([targetOf('a', replica.port)]);
    const client = await greeted();
    let stopped = false;
    const stop = mesh.ports.stop(60_000).then(() => (stopped = true));
    const refused = keep(mesh.open());
    await until(() => refused.error === 'ECONNREFUSED', 'no new connections');
    client.socket.write('!');
    await until(() => client.text() === 'hi!', client.text);
    assert.equal(stopped, false);
    client.socket.end();
    await stop;

    const second = await startTcpMesh();
    await second.route([targetOf('a', replica.port)]);
    const stuck = keep(second.open());
    await until(() => stuck.text() === 'hi', stuck.text);
    await second.ports.stop(50);
    await until(() => stuck.closed, 'the last one is ended');
  });
});
