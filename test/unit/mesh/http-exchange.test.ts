import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { draining, targetOf } from '../../support/routes.ts';
import { type HttpMesh, type HttpReplica, saying, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { freePort, openClient, type Replica, startBlackhole, startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

describe('http requests', () => {
  let mesh: HttpMesh;
  const stops: (() => Promise<unknown>)[] = [];
  const replica = async (...args: Parameters<typeof startHttpReplica>): Promise<HttpReplica> => {
    const started = await startHttpReplica(...args);
    stops.push(() => started.stop());
    return started;
  };
  const rawReplica = async (...args: Parameters<typeof startReplica>): Promise<Replica> => {
    const started = await startReplica(...args);
    stops.push(() => started.stop());
    return started;
  };

  beforeEach(async () => {
    mesh = await startHttpMesh({ limits: { holdMs: 2000 } });
  });
  afterEach(async () => {
    await mesh.stop();
    for (const stop of stops.splice(0)) await stop();
  });

  it('reach a replica with method, target, headers and body, and come back with status, headers and body', async () => {
    const one = await replica((req, res) => {
      const pieces: Buffer[] = [];
      req.on('data', (piece: Buffer) => pieces.push(piece));
      req.on('end', () => {
        res.writeHead(201, 'Made', [
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['X-Case', 'Kept'],
        ] as never);
        res.end(`${String(req.method)} ${String(req.url)} ${String(req.headers.host)} ${Buffer.concat(pieces).toString()}`);
      });
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const answer = await mesh.ask('/a//b/../c?x=1?y=2&', {
      method: 'PATCH',
      body: 'hello',
      headers: { host: 'Example.com:80', 'x-one': '1' },
    });
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(answer.headers['x-case'], 'Kept');
    assert.equal(answer.body, 'PATCH /a//b/../c?x=1?y=2& Example.com:80 hello');
    assert.equal(one.requests[0]?.headers['x-one'], '1');
  });

  it('keep connections to replicas between them', async () => {
    const one = await replica(saying('hi'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    for (let i = 0; i < 5; i++) assert.equal((await mesh.ask()).body, 'hi');
    assert.equal(one.sockets.size, 1);
  });

  it('are counted by the class of their answers, and none stays open', async () => {
    const one = await replica((req, res) => res.writeHead(req.url === '/missing' ? 404 : 204).end());
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    await mesh.ask('/missing');
    await mesh.ask();
    await mesh.ask('/', { method: 'HEAD' });
    await until(() => mesh.counters().open === 0, 'all counted');
    assert.deepEqual(mesh.counters().byClass, [0, 0, 2, 0, 1, 0]);
    assert.equal(
      mesh.counters().byDuration.reduce((sum, count) => sum + count, 0),
      3,
    );
  });

  it('stream both ways at once, with trailers', async () => {
    const one = await replica((req, res) => {
      res.writeHead(200, { Trailer: 'X-Sum' });
      res.flushHeaders();
      req.on('data', (piece: Buffer) => res.write(piece));
      req.on('end', () => {
        res.addTrailers({ 'X-Sum': `saw ${String(req.trailers['x-end'])}` });
        res.end();
      });
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    let text = '';
    let trailers: unknown;
    const req = request({
      host: mesh.address,
      port: mesh.port,
      method: 'POST',
      agent: false,
      headers: { Trailer: 'X-End', 'Transfer-Encoding': 'chunked' },
    });
    req.on('response', (res) => {
      res.on('data', (piece: Buffer) => (text += piece.toString()));
      res.on('end', () => (trailers = res.trailers));
    });
    req.write('one');
    await until(() => text === 'one', 'the first piece is back before the second is sent');
    req.write('two');
    await until(() => text === 'onetwo', text);
    req.addTrailers({ 'X-End': 'the end' });
    req.end();
    await until(() => trailers !== undefined, 'the end');
    assert.deepEqual({ ...(trailers as object) }, { 'x-sum': 'saw the end' });
  });

  it('hold back a side that is not read', async () => {
    let written = 0;
    const one = await replica((_req, res) => {
      const piece = Buffer.alloc(65_536);
      const more = (): void => {
        while (written < 400 * piece.length) {
          written += piece.length;
          if (!res.write(piece)) {
            res.once('drain', more);
            return;
          }
        }
        res.end();
      };
      more();
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = openClient(mesh.port, mesh.address);
    client.socket.pause();
    client.socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    let before = -1;
    await until(() => {
      const still = written === before && written > 0;
      before = written;
      return still;
    }, 'the replica is held back');
    assert.ok(written < 20_000_000, `${written} bytes`);
    client.socket.resume();
    await until(() => client.ended, 'all comes');
    assert.ok(client.bytes > 400 * 65_536);
  });

  it('ask the replica whether to continue', async () => {
    const one = await replica((req, res) => {
      req.on('data', () => undefined);
      req.on('end', () => res.end('took it'));
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = openClient(mesh.port, mesh.address);
    client.socket.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n');
    await until(() => client.text() === 'HTTP/1.1 100 Continue\r\n\r\n', client.text);
    client.socket.write('abc');
    await until(() => client.text().includes('took it'), client.text);
    client.socket.destroy();
  });

  it('pass over a replica that refuses or does not answer the connect, whatever their method', async () => {
    const hole = await startBlackhole();
    stops.push(() => hole.stop());
    const one = await replica(saying('here'));
    await mesh.apply(mesh.route([targetOf('a', await freePort('127.0.0.1')), targetOf('b', hole.port), targetOf('c', one.port)]));
    const answers = await Promise.all(Array.from({ length: 8 }, () => mesh.ask('/', { method: 'POST', body: 'x' })));
    for (const answer of answers) assert.equal(answer.body, 'here');
  });

  it('are repeated where a replica breaks off before it answers, if they may be', async () => {
    const broken = await rawReplica((socket) => socket.once('data', () => socket.destroy()));
    const one = await replica(saying('here'));
    await mesh.apply(mesh.route([targetOf('a', broken.port), targetOf('b', one.port)]));
    for (let i = 0; i < 10; i++) assert.equal((await mesh.ask()).body, 'here');
    assert.ok(broken.taken > 0);
  });

  it('are not repeated where they may not be: 502 says which service and why', async () => {
    const broken = await rawReplica((socket) => socket.once('data', () => socket.destroy()));
    await mesh.apply(mesh.route([targetOf('a', broken.port)]));
    const answer = await mesh.ask('/', { method: 'POST', body: 'pay', headers: { accept: 'application/json' } });
    assert.equal(answer.status, 502);
    assert.deepEqual(JSON.parse(answer.body), {
      status: 502,
      error: 'Bad Gateway',
      service: 'web',
      message: 'its replica broke off before it answered',
    });
    assert.equal(broken.taken, 1);
  });

  it('do not kill one replica after the other', async () => {
    const broken = await Promise.all([1, 2, 3, 4, 5].map(() => rawReplica((socket) => socket.once('data', () => socket.destroy()))));
    await mesh.apply(mesh.route(broken.map((each, index) => targetOf(`task-${index}`, each.port))));
    assert.equal((await mesh.ask()).status, 502);
    assert.equal(
      broken.reduce((sum, each) => sum + each.taken, 0),
      3,
    );
  });

  it('never fail because a replica closed an idle connection', async () => {
    let requests = 0;
    // Answers, then closes at the second request without a word, as a server whose idle time is over just then.
    const one = await rawReplica((socket) => {
      let first = true;
      socket.on('data', () => {
        requests++;
        if (first) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
        else socket.destroy();
        first = false;
      });
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    for (let i = 0; i < 6; i++) assert.equal((await mesh.ask()).body, 'hi');
    assert.ok(requests > 6, 'some met a closed connection');
  });

  it('wait for a replica, within limits, then are told that there is none', async () => {
    await mesh.apply(mesh.route([], { holdMs: 100 }));
    const none = await mesh.ask('/', { headers: { accept: 'text/html' } });
    assert.equal(none.status, 503);
    assert.equal(none.headers['retry-after'], '5');
    assert.match(none.body, /<h1>503 Service Unavailable<\/h1><p>service web: it has no replica that takes requests\.<\/p>/);
    await mesh.apply(mesh.route([], { maxHeld: 1 }));
    const waiting = mesh.ask('/', { method: 'POST', body: 'x' });
    await until(() => mesh.counters().held === 1, 'it waits');
    assert.match((await mesh.ask()).body, /too many requests wait/);
    const one = await replica(saying('at last'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    assert.equal((await waiting).body, 'at last');
  });

  it('wait while the service is paused, though it has replicas', async () => {
    const one = await replica(saying('hi'));
    await mesh.apply(mesh.route([targetOf('a', one.port)], {}, { paused: true }));
    const waiting = mesh.ask();
    await until(() => mesh.counters().held === 1, 'it waits');
    assert.equal(one.requests.length, 0);
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    assert.equal((await waiting).body, 'hi');
  });

  it('are answered 504 where the replica is silent for too long', async () => {
    const silent = await replica(() => undefined);
    await mesh.apply(mesh.route([targetOf('a', silent.port)], { responseTimeoutMs: 100 }));
    const answer = await mesh.ask();
    assert.equal(answer.status, 504);
    assert.match(answer.body, /service web: its replica did not answer within 0\.1 s/);
    await until(() => silent.sockets.size === 0, 'nothing goes on at the replica');
  });

  it('are ended at the replica when the client leaves', async () => {
    const silent = await replica(() => undefined);
    await mesh.apply(mesh.route([targetOf('a', silent.port)]));
    const client = openClient(mesh.port, mesh.address);
    client.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => silent.requests.length === 1, 'it has begun');
    client.socket.destroy();
    await until(() => silent.sockets.size === 0, 'the replica is told');
    await until(() => mesh.counters().open === 0, 'it is counted as gone');
    assert.equal(mesh.counters().byClass[0], 1);
  });

  it('that wait behind others on one connection are gone with it', async () => {
    const silent = await replica(() => undefined);
    await mesh.apply(mesh.route([targetOf('a', silent.port)]));
    const client = openClient(mesh.port, mesh.address);
    client.socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => silent.requests.length === 2, 'both have begun');
    client.socket.destroy();
    await until(() => mesh.counters().open === 0, 'both are counted as gone');
  });

  it('tell the client of an answer that breaks off', async () => {
    const one = await rawReplica((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => socket.resetAndDestroy());
      }),
    );
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    await assert.rejects(mesh.ask(), /aborted|ECONNRESET|socket hang up/);
  });

  it('get the answer that comes before they are sent whole', async () => {
    const one = await replica((_req, res) => res.writeHead(413, { Connection: 'close' }).end('too much'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = openClient(mesh.port, mesh.address);
    client.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`);
    await until(() => client.text().includes('too much'), client.text);
    await until(() => client.closed || client.ended, 'the connection is not kept for the rest', 8000);
    client.socket.destroy();
  });

  it('of HTTP/1.0 get an answer that ends with the connection', async () => {
    const one = await replica((_req, res) => {
      res.write('in ');
      res.end('pieces');
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = openClient(mesh.port, mesh.address);
    client.socket.write('GET / HTTP/1.0\r\n\r\n');
    await until(() => client.ended, 'it ends');
    assert.match(client.text(), /^HTTP\/1\.1 200 OK\r\n(?!.*chunked).*\r\n\r\nin pieces$/s);
    assert.ok(one.requests[0]?.headers.host?.includes(String(mesh.port)));
  });

  it('go to no draining replica; it is idle when the last one is answered', async () => {
    let finish: () => void = () => undefined;
    const old = await replica((_req, res) => (finish = () => res.end('old')));
    const young = await replica(saying('new'));
    await mesh.apply(mesh.route([targetOf('a', old.port)]));
    const slow = mesh.ask();
    await until(() => old.requests.length === 1, 'it has begun');
    await mesh.apply(mesh.route([draining(targetOf('a', old.port)), targetOf('b', young.port)]));
    assert.deepEqual(mesh.ports.idle(), []);
    for (let i = 0; i < 5; i++) assert.equal((await mesh.ask()).body, 'new');
    finish();
    assert.equal((await slow).body, 'old');
    await until(() => mesh.idleCalls.length > 0, 'it is idle');
    assert.deepEqual(mesh.ports.idle(), ['a']);
    await until(() => old.sockets.size === 0, 'no connection is kept to it');
  });

  it('beyond the limit of open ones are turned away', async () => {
    const silent = await replica(() => undefined);
    await mesh.apply(mesh.route([targetOf('a', silent.port)], { maxConnections: 1 }));
    const first = mesh.ask();
    first.catch(() => undefined);
    await until(() => silent.requests.length === 1, 'one is open');
    const answer = await mesh.ask();
    assert.equal(answer.status, 503);
    assert.match(answer.body, /too many requests are open/);
  });

  it('on a connection that is kept are told to close it when the mesh stops', async () => {
    let finish: () => void = () => undefined;
    const one = await replica((_req, res) => (finish = () => res.end('hi')));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const agent = new Agent({ keepAlive: true });
    const answer = mesh.ask('/', { agent });
    await until(() => one.requests.length === 1, 'it has begun');
    const stopped = mesh.ports.stop(60_000);
    finish();
    assert.equal((await answer).headers.connection, 'close');
    await stopped;
    agent.destroy();
  });
});
