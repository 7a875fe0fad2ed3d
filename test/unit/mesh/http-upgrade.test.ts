import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';
import { draining, targetOf } from '../../support/routes.ts';
import { type HttpMesh, saying, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { type Client, freePort, openClient, startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

interface Upgrader {
  readonly port: number;
  readonly requests: readonly IncomingMessage[];
  readonly sockets: readonly Socket[];
}

const WISH = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n';

describe('http upgrades', () => {
  let mesh: HttpMesh;
  const stops: (() => Promise<unknown>)[] = [];
  const clients: Client[] = [];

  /** Takes every upgrade and says back what it gets. */
  const startUpgrader = async (): Promise<Upgrader> => {
    const requests: IncomingMessage[] = [];
    const sockets: Socket[] = [];
    const server = createServer(saying('plain'));
    server.on('upgrade', (req, socket: Socket, head) => {
      requests.push(req);
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${String(req.headers.upgrade)}\r\n\r\n`);
      if (head.length > 0) socket.write(head);
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(
      () =>
        new Promise<void>((resolve) => {
          for (const socket of sockets) socket.destroy();
          server.close(() => {
            resolve();
          });
          server.closeAllConnections();
        }),
    );
    return { port: (server.address() as AddressInfo).port, requests, sockets };
  };
  const open = (wish = WISH): Client => {
    const client = openClient(mesh.port, mesh.address);
    clients.push(client);
    client.socket.write(wish);
    return client;
  };
  const upgraded = async (client: Client): Promise<void> => {
    await until(() => client.text().startsWith('HTTP/1.1 101 ') && client.text().includes('\r\n\r\n'), client.text);
  };

  beforeEach(async () => {
    mesh = await startHttpMesh({ limits: { holdMs: 2000 } });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await mesh.stop();
    for (const stop of stops.splice(0)) await stop();
  });

  it('carry bytes both ways, those that came with the request first', async () => {
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open(`${WISH}early `);
    await upgraded(client);
    client.socket.write('and late');
    await until(() => client.text().endsWith('early and late'), client.text);
    assert.equal(one.requests[0]?.url, '/chat');
    assert.equal(one.requests[0].headers['sec-websocket-key'], 'k');
    assert.match(String(one.requests[0].headers['x-forwarded-for']), /^127\./);
    client.socket.end();
    await until(() => mesh.counters().open === 0, 'it ends');
    assert.equal(mesh.counters().byClass[1], 1);
  });

  it('are for other protocols than WebSocket too', async () => {
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open(WISH.replace('websocket', 'tcp-of-mine'));
    await upgraded(client);
    assert.match(client.text(), /upgrade: tcp-of-mine/i);
  });

  it('go to another replica when one refuses, or breaks off before it answers', async () => {
    const broken = await startReplica((socket) => socket.once('data', () => socket.destroy()));
    stops.push(() => broken.stop());
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', await freePort('127.0.0.1')), targetOf('b', broken.port), targetOf('c', one.port)]));
    for (let i = 0; i < 8; i++) {
      const client = open(`${WISH}early`);
      await upgraded(client);
      await until(() => client.text().endsWith('early'), client.text);
    }
  });

  it('wait for a replica, then are told that there is none', async () => {
    await mesh.apply(mesh.route([]));
    const client = open();
    await until(() => mesh.counters().held === 1, 'it waits');
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    await upgraded(client);
    await mesh.apply(mesh.route([], { holdMs: 50 }));
    const none = open();
    await until(() => none.ended, 'it ends');
    assert.match(none.text(), /^HTTP\/1\.1 503 .*Retry-After: 5\r\n.*service web: /s);
  });

  it('get the answer of a replica that does not change its protocol', async () => {
    const size = 5_000_000;
    const one = await startHttpReplica(saying('x'.repeat(size)));
    stops.push(() => one.stop());
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open();
    await until(() => client.ended, 'it ends');
    assert.match(client.text().slice(0, 500), /^HTTP\/1\.1 200 OK\r\n.*connection: close\r\n/is);
    assert.ok(client.bytes > size);
    await until(() => mesh.counters().byClass[2] === 1, 'it is counted');
  });

  it('to HTTP/2, and those with a body, are served as the requests that they are', async () => {
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const h2c = open(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    await until(() => h2c.text().split('plain').length === 3, h2c.text);
    const post = open('POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc');
    await until(() => post.text().includes('plain'), post.text);
    assert.equal(one.requests.length, 0);
  });

  it('keep their replica busy until they end, and end at the replica with the client', async () => {
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open();
    await upgraded(client);
    await mesh.apply(mesh.route([draining(targetOf('a', one.port))]));
    assert.deepEqual(mesh.ports.idle(), []);
    client.socket.write('still here');
    await until(() => client.text().endsWith('still here'), client.text);
    client.socket.resetAndDestroy();
    await until(() => mesh.ports.idle().length === 1, 'it is idle');
    await until(() => one.sockets[0]?.destroyed === true, 'the replica is told');
  });

  it('are cut off when nothing moves for too long', async () => {
    const one = await startUpgrader();
    await mesh.apply(mesh.route([targetOf('a', one.port)], { idleTimeoutMs: 200 }));
    const client = open();
    await upgraded(client);
    await until(() => client.closed || client.ended, 'it is cut off');
    await until(() => mesh.counters().idleClosed === 1, 'it is counted');
  });

  it('that nobody answers are told 504', async () => {
    const silent = await startReplica(() => undefined);
    stops.push(() => silent.stop());
    await mesh.apply(mesh.route([targetOf('a', silent.port)], { responseTimeoutMs: 100 }));
    const client = open();
    await until(() => client.ended, 'it ends');
    assert.match(client.text(), /^HTTP\/1\.1 504 /);
  });
});
