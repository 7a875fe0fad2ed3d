import assert from 'node:assert/strict';
import { type Socket } from 'node:net';
import { proxyHeader, SIGNATURE } from '../../../mesh/proxy-protocol/header.ts';
import { IngressSettings, ProxyProtocol } from '../../../proto/index.ts';
import { targetOf } from '../../support/routes.ts';
import { type Client, echo, freePort, type Replica, startReplica } from '../../support/sockets.ts';
import { startTcpMesh, type TcpMesh } from '../../support/tcp-mesh.ts';
import { until } from '../../support/until.ts';

const { PROXY_PROTOCOL_V1: V1, PROXY_PROTOCOL_V2: V2 } = ProxyProtocol;
const NAMED = { source: { address: '192.0.2.7', port: 40_000 }, destination: { address: '198.51.100.1', port: 443 } };

describe('settings of a tcp port', () => {
  let mesh: TcpMesh;
  const replicas: Replica[] = [];
  const clients: Client[] = [];

  const replica = async (onClient: (socket: Socket) => void): Promise<Replica> => {
    const started = await startReplica(onClient);
    replicas.push(started);
    return started;
  };
  const open = (): Client => {
    const client = mesh.open();
    clients.push(client);
    return client;
  };
  const route = (port: number, settings: Partial<IngressSettings>): Promise<void> =>
    mesh.route([targetOf('a', port)], { settings: IngressSettings.create(settings) });
  const gone = async (): Promise<void> => {
    await until(
      () => mesh.ports.connections === 0,
      () => `${mesh.ports.connections} connections left`,
    );
    assert.equal(mesh.counters().open, 0);
  };

  beforeEach(async () => {
    mesh = await startTcpMesh();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await mesh.stop();
    await Promise.all(replicas.splice(0).map((each) => each.stop()));
  });

  describe('a PROXY header to the replica', () => {
    it('comes before the first byte of the client, and names it', async () => {
      const { port } = await replica(echo());
      await route(port, { proxyProtocol: V1 });
      const client = open();
      client.socket.write('hello');
      await until(() => client.text().endsWith('hello'), client.text);
      const { localAddress, localPort } = client.socket;
      assert.equal(client.text(), `PROXY TCP4 ${String(localAddress)} ${mesh.address} ${String(localPort)} ${String(mesh.port)}\r\nhello`);
    });

    it('comes though the client says nothing', async () => {
      const { port } = await replica(echo());
      await route(port, { proxyProtocol: V2 });
      const client = open();
      await until(() => client.bytes === 28, client.text);
      assert.ok(client.text().startsWith(SIGNATURE.toString()));
    });

    it('binds a client to no replica: one that then closes is exchanged', async () => {
      const bad = await replica((socket) => socket.once('data', () => socket.end()));
      const good = await replica(echo());
      await mesh.route([targetOf('bad', bad.port), targetOf('good', good.port)], {
        settings: IngressSettings.create({ proxyProtocol: V1 }),
      });
      for (let i = 0; i < 20; i++) {
        const client = open();
        await until(() => client.text().startsWith('PROXY TCP4 '), client.text);
        assert.equal(client.text().indexOf('PROXY', 1), -1, 'once only');
      }
      assert.ok(bad.taken > 0);
    });
  });

  describe('trusted sources', () => {
    it('say who the client is, with its first bytes or alone, whole or in pieces', async () => {
      const { port } = await replica(echo());
      await route(port, { trustedSources: ['127.0.0.0/8'], proxyProtocol: V1 });
      for (const version of [V1, V2]) {
        const header = proxyHeader(version, NAMED) ?? Buffer.alloc(0);
        const together = open();
        together.socket.write(Buffer.concat([header, Buffer.from('hello')]));
        const pieces = open();
        for (const byte of header) await new Promise<void>((resolve) => pieces.socket.write(Buffer.of(byte), () => resolve()));
        pieces.socket.write('hello');
        for (const client of [together, pieces]) {
          await until(() => client.text() === 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nhello', client.text);
        }
      }
      assert.equal(mesh.counters().bytesFromClients, 20);
    });

    it('lose their header on the way to a replica that gets none, and their connection goes on like any other', async () => {
      const { port } = await replica(echo());
      await route(port, { trustedSources: ['127.0.0.0/8'] });
      const client = open();
      client.socket.end(Buffer.concat([proxyHeader(V2, NAMED) ?? Buffer.alloc(0), Buffer.alloc(500_000, 'x')]));
      await until(() => client.ended, 'the end');
      assert.equal(client.bytes, 500_000);
      await gone();
    });

    it('are reset without a header, and no replica sees a byte', async () => {
      const target = await replica(echo());
      await route(target.port, { trustedSources: ['127.0.0.0/8'] });
      const garbage = open();
      garbage.socket.write('GET / HTTP/1.1\r\n\r\n');
      const half = open();
      half.socket.end('PROXY TCP4 192.');
      await until(() => garbage.error === 'ECONNRESET' && half.ended, 'both are gone');
      await until(() => mesh.counters().badHeaders === 2, 'both are counted');
      await gone();
      assert.equal(target.taken, 0);
    });

    it('are no failure where they connect and close, as health checks do', async () => {
      const { port } = await replica(echo());
      await route(port, { trustedSources: ['127.0.0.0/8'] });
      const checks = [open(), open()];
      checks[0]?.socket.end();
      checks[1]?.socket.once('connect', () => checks[1]?.socket.resetAndDestroy());
      await until(() => mesh.counters().connections === 2, 'both came');
      await gone();
      assert.deepEqual([mesh.counters().badHeaders, mesh.counters().replicaFailures], [0, 0]);
    });

    it('count against the limit while their header is awaited, and go with the port', async () => {
      const { port } = await replica(echo());
      await route(port, { trustedSources: ['127.0.0.0/8'], maxConnections: 1 });
      const first = open();
      await until(() => mesh.ports.connections === 1, 'the first waits');
      const second = open();
      await until(() => second.error === 'ECONNRESET', 'the second is beyond the limit');
      await mesh.apply([]);
      await until(() => first.error === 'ECONNRESET', 'the first is reset');
      assert.equal(mesh.ports.connections, 0);
    });

    it('are the only ones whose header is read: from others it is the bytes of the client', async () => {
      const { port } = await replica(echo());
      await route(port, { trustedSources: ['10.0.0.0/8'] });
      const client = open();
      client.socket.write('PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n');
      await until(() => client.text() === 'PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n', client.text);
    });
  });

  it('connections of health checks, closed without a byte, are no failures of the replica', async () => {
    const { port } = await replica((socket) => socket.on('end', () => socket.end()));
    await mesh.route([targetOf('a', port)]);
    for (let i = 0; i < 5; i++) open().socket.end();
    await until(() => mesh.counters().connections === 5, 'all came');
    await gone();
    assert.deepEqual([mesh.counters().replicaFailures, mesh.counters().noReplica], [0, 0]);
  });

  it('limit the connections of this port', async () => {
    const { port } = await replica(echo('hi'));
    await route(port, { maxConnections: 1 });
    const first = open();
    await until(() => first.text() === 'hi', first.text);
    const second = open();
    await until(() => second.error === 'ECONNRESET', 'one too many');
    assert.equal(mesh.counters().overLimit, 1);
  });

  it('say how many wait for a replica, and how long', async () => {
    await mesh.route([], { settings: IngressSettings.create({ holdMs: 50, maxHeld: 1 }) });
    const all = [open(), open()];
    await until(() => all.every((client) => client.error === 'ECONNRESET'), 'both are reset');
    assert.deepEqual([mesh.counters().overLimit, mesh.counters().noReplica], [1, 1]);
  });

  it('a paused port holds new clients though it has replicas, and serves them when it goes on; open ones are not disturbed', async () => {
    const old = await replica(echo('old '));
    const dead = await freePort('127.0.0.1');
    await mesh.route([targetOf('old', old.port)]);
    const before = open();
    await until(() => before.text() === 'old ', before.text);
    await mesh.route([targetOf('old', old.port)], { paused: true });
    const waiting = [open(), open()];
    for (const client of waiting) client.socket.write('x');
    await until(() => mesh.ports.connections === 3, 'two wait');
    await mesh.route([targetOf('new', dead)], { paused: true });
    before.socket.write('!');
    await until(() => before.text() === 'old !', before.text);
    const fresh = await replica(echo('new '));
    await mesh.route([targetOf('new', fresh.port)]);
    for (const client of waiting) await until(() => client.text() === 'new x', client.text);
    assert.equal(old.taken, 1);
    assert.equal(mesh.counters().replicaFailures, 0);
  });

  it('a port that stays paused holds no longer than it may', async () => {
    const target = await replica(echo());
    await mesh.route([targetOf('a', target.port)], { paused: true, settings: IngressSettings.create({ holdMs: 50 }) });
    const client = open();
    await until(() => client.error === 'ECONNRESET', 'it is reset');
    assert.deepEqual([mesh.counters().noReplica, target.taken], [1, 0]);
  });
});
