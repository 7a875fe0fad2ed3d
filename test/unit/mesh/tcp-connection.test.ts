import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { type Socket } from 'node:net';
import { IngressSettings } from '../../../proto/index.ts';
import { targetOf } from '../../support/routes.ts';
import { type Client, echo, freePort, type Replica, startBlackhole, startReplica } from '../../support/sockets.ts';
import { startTcpMesh, type TcpMesh } from '../../support/tcp-mesh.ts';
import { until } from '../../support/until.ts';

describe('a connection through the tcp path', () => {
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
  const gone = async (): Promise<void> => {
    await until(
      () => mesh.ports.connections === 0,
      () => `${mesh.ports.connections} connections left`,
    );
  };

  beforeEach(async () => {
    mesh = await startTcpMesh();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await mesh.stop();
    await Promise.all(replicas.splice(0).map((each) => each.stop()));
  });

  it('carries bytes both ways', async () => {
    const { port } = await replica(echo('hello '));
    await mesh.route([targetOf('a', port)]);
    const client = open();
    client.socket.write('you');
    await until(() => client.text() === 'hello you', client.text);
    client.socket.end();
    await until(() => client.closed, 'the client closes');
    assert.equal(client.error, undefined);
    await gone();
    assert.deepEqual([mesh.counters().bytesFromClients, mesh.counters().bytesToClients, mesh.counters().connections], [3, 9, 1]);
  });

  it('brings a megabyte each way intact', async () => {
    const { port } = await replica(echo());
    await mesh.route([targetOf('a', port)]);
    const client = open();
    const sent = randomBytes(2 ** 20);
    const hash = createHash('sha256');
    client.socket.on('data', (chunk: Buffer) => hash.update(chunk));
    client.socket.end(sent);
    await until(() => client.ended, 'all is back');
    assert.equal(client.bytes, sent.length);
    assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'));
    await gone();
  });

  it('passes the end of the client on, and the answer that follows it back', async () => {
    const { port } = await replica((socket) => {
      let got = '';
      socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
      socket.on('end', () => socket.end(`got ${got}`));
    });
    await mesh.route([targetOf('a', port)]);
    const client = open();
    client.socket.end('all of it');
    await until(() => client.ended && client.text() === 'got all of it', client.text);
    await gone();
  });

  it('passes the end of the replica on, and what the client still sends', async () => {
    let got = '';
    const { port } = await replica((socket) => {
      socket.end('no more from me');
      socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
    });
    await mesh.route([targetOf('a', port)]);
    const client = open();
    await until(() => client.ended, 'the end arrives');
    assert.equal(client.text(), 'no more from me');
    client.socket.end('but from me');
    await until(
      () => got === 'but from me',
      () => got,
    );
    await gone();
  });

  it('brings a slow replica all that a client sent before it closed', async () => {
    const total = 8 * 2 ** 20;
    let got = 0;
    const { port, sockets } = await replica((socket) => {
      socket.end('done');
      socket.pause();
      socket.on('data', (chunk: Buffer) => (got += chunk.length));
      socket.pause();
    });
    await mesh.route([targetOf('a', port)]);
    const client = open();
    await until(() => client.ended, 'the end of the replica arrives');
    client.socket.end(Buffer.alloc(total));
    await until(() => mesh.counters().bytesFromClients > 0, 'bytes flow');
    sockets[0]?.resume();
    await until(
      () => got === total,
      () => `${got} of ${total}`,
    );
    await gone();
  });

  it('holds a fast replica back when its client does not read, and goes on when it does', async () => {
    const total = 64 * 2 ** 20;
    let sent = 0;
    const { port } = await replica((socket) => {
      const more = (): void => {
        while (sent < total) {
          sent += 65_536;
          if (!socket.write(Buffer.alloc(65_536, 7))) return;
        }
        socket.end();
      };
      socket.on('drain', more);
      more();
    });
    await mesh.route([targetOf('a', port)]);
    const client = open();
    await until(() => client.bytes > 0, 'the first bytes');
    client.socket.pause();
    const paused = client.bytes;
    let before = -1;
    await until(() => {
      const still = before === sent;
      before = sent;
      return still && sent > paused;
    }, 'the replica stands still');
    assert.ok(sent < total, 'not all of it is under way');
    const inMesh = mesh.counters().bytesToClients - client.bytes;
    assert.ok(mesh.counters().bytesToClients <= sent && inMesh < total / 2, `${inMesh} bytes between mesh and client`);
    client.socket.resume();
    await until(() => client.ended, 'the end');
    assert.equal(client.bytes, total);
  });

  it('holds fast clients back when their replicas do not read, and mixes nothing up meanwhile', async () => {
    const { port, sockets } = await replica((socket) => socket.pause());
    await mesh.route([targetOf('a', port)]);
    const total = 32 * 2 ** 20;
    for (const name of [1, 2, 3]) open().socket.end(Buffer.alloc(total, name));
    let before = -1;
    await until(() => {
      const now = mesh.counters().bytesFromClients;
      const still = sockets.length === 3 && now > 0 && before === now;
      before = now;
      return still;
    }, 'the mesh takes no more');
    assert.ok(mesh.counters().bytesFromClients < 3 * total);
    const got = sockets.map((socket) => {
      const state = { bytes: 0, name: 0, mixed: false };
      socket.on('data', (chunk: Buffer) => {
        if (state.bytes === 0) state.name = chunk[0] ?? 0;
        state.bytes += chunk.length;
        if (!chunk.equals(Buffer.alloc(chunk.length, state.name))) state.mixed = true;
      });
      socket.resume();
      return state;
    });
    await until(
      () => got.every((state) => state.bytes === total),
      () => JSON.stringify(got),
    );
    assert.deepEqual(
      got.map((state) => [state.name, state.mixed]).sort(),
      [1, 2, 3].map((name) => [name, false]),
    );
  });

  it('goes to the next replica when one refuses', async () => {
    const good = await replica(echo('good'));
    await mesh.route([targetOf('dead', await freePort('127.0.0.1')), targetOf('good', good.port)]);
    for (let i = 0; i < 20; i++) {
      const client = open();
      await until(() => client.text() === 'good', client.text);
    }
    assert.ok(mesh.counters().replicaFailures > 0);
    assert.equal(good.taken, 20);
  });

  it('goes to the next replica when one takes the connection and closes it without a byte', async () => {
    for (const close of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
      const bad = await replica(close);
      const good = await replica(echo('good'));
      await mesh.route([targetOf(`bad-${bad.port}`, bad.port), targetOf(`good-${good.port}`, good.port)]);
      const failures = mesh.counters().replicaFailures;
      for (let i = 0; i < 20; i++) {
        const client = open();
        await until(() => client.text() === 'good', client.text);
        client.socket.destroy();
      }
      assert.ok(bad.taken > 0 && mesh.counters().replicaFailures > failures);
    }
  });

  it('goes to the next replica when one does not answer at all', async () => {
    const hole = await startBlackhole();
    try {
      const good = await replica(echo('good'));
      await mesh.route([targetOf('hole', hole.port), targetOf('good', good.port)], {
        settings: IngressSettings.create({ connectTimeoutMs: 50 }),
      });
      for (let i = 0; i < 10; i++) {
        const client = open();
        await until(() => client.text() === 'good', client.text);
      }
      assert.ok(mesh.counters().replicaFailures > 0);
    } finally {
      await hole.stop();
    }
  });

  it('sends nothing twice: once a byte went to a replica that then closes, the client sees the close', async () => {
    const bad = await replica((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const other = await replica((socket) => socket.once('data', () => socket.resetAndDestroy()));
    await mesh.route([targetOf('bad', bad.port), targetOf('other', other.port)]);
    const client = open();
    client.socket.write('once');
    await until(() => client.closed, 'the client is reset');
    assert.equal(client.error, 'ECONNRESET');
    assert.equal(bad.taken + other.taken, 1);
  });

  it('closes in order when every replica does so without a byte', async () => {
    const one = await replica((socket) => socket.end());
    const two = await replica((socket) => socket.end());
    await mesh.route([targetOf('one', one.port), targetOf('two', two.port)]);
    const client = open();
    await until(() => client.ended, 'the end');
    assert.equal(client.error, undefined);
    assert.deepEqual([one.taken, two.taken], [1, 1]);
  });

  it('passes a reset of either side to the other', async () => {
    let replicaError = '';
    const { port, sockets } = await replica((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => (replicaError = error.code ?? ''));
      socket.write('hi');
    });
    await mesh.route([targetOf('a', port)]);
    const first = open();
    await until(() => first.text() === 'hi', first.text);
    first.socket.resetAndDestroy();
    await until(
      () => replicaError === 'ECONNRESET',
      () => replicaError,
    );
    const second = open();
    await until(() => second.text() === 'hi', second.text);
    sockets[1]?.resetAndDestroy();
    await until(() => second.error === 'ECONNRESET', 'the client is reset');
    await gone();
  });

  it('waits for a replica that comes, and serves the clients that waited', async () => {
    await mesh.route([]);
    const waiting = [open(), open(), open()];
    for (const client of waiting) client.socket.write('x');
    await until(() => mesh.ports.connections === 3, 'three clients wait');
    const { port } = await replica(echo());
    await mesh.route([targetOf('a', port)]);
    for (const client of waiting) await until(() => client.text() === 'x', client.text);
  });

  it('waits for a replica that does not listen yet', async () => {
    const port = await freePort('127.0.0.1');
    await mesh.route([targetOf('a', port)]);
    const client = open();
    await until(() => mesh.counters().replicaFailures > 0, 'a first refusal');
    replicas.push(await startReplica(echo('here'), '127.0.0.1', port));
    await until(() => client.text() === 'here', client.text);
  });

  it('closes a connection on which nothing moves, not one on which something does', async () => {
    const { port, sockets } = await replica(echo('hi'));
    await mesh.route([targetOf('a', port)], { settings: IngressSettings.create({ idleTimeoutMs: 200 }) });
    const quiet = open();
    const busy = open();
    let beats = 0;
    await until(() => {
      busy.socket.write('.');
      beats++;
      return quiet.ended;
    }, 'the quiet one is closed');
    assert.equal(busy.ended, false);
    assert.equal(mesh.counters().idleClosed, 1);
    assert.ok(beats > 0);
    await until(() => sockets.some((socket) => socket.destroyed || socket.readableEnded), 'the replica learns it');
  });
});

describe('a tcp path with small limits', () => {
  let mesh: TcpMesh;
  const clients: Client[] = [];
  const open = (): Client => {
    const client = mesh.open();
    clients.push(client);
    return client;
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await mesh.stop();
  });

  it('resets clients that no replica took in time, and those beyond the number that may wait', async () => {
    mesh = await startTcpMesh({ holdMs: 300, maxHeld: 2 });
    await mesh.route([]);
    const all = [open(), open(), open(), open()];
    await until(() => all.every((client) => client.error === 'ECONNRESET'), 'all are reset');
    assert.deepEqual([mesh.counters().overLimit, mesh.counters().noReplica], [2, 2]);
    assert.equal(mesh.ports.connections, 0);
  });

  it('resets connections beyond the limit of the port, and takes more when some have ended', async () => {
    mesh = await startTcpMesh({ maxConnections: 2 });
    const replica = await startReplica(echo('hi'));
    await mesh.route([targetOf('a', replica.port)]);
    const first = [open(), open()];
    await until(() => first.every((client) => client.text() === 'hi'), 'two are served');
    const third = open();
    await until(() => third.error === 'ECONNRESET', 'the third is reset');
    first[0]?.socket.destroy();
    await until(() => mesh.ports.connections === 1, 'one is gone');
    const fourth = open();
    await until(() => fourth.text() === 'hi', 'the fourth is served');
    await replica.stop();
  });
});
