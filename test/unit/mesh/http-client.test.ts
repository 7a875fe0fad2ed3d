import assert from 'node:assert/strict';
import { targetOf } from '../../support/routes.ts';
import { type HttpMesh, type HttpReplica, saying, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { type Client, openClient, type Replica, startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

describe('http client connections', () => {
  let mesh: HttpMesh;
  const stops: (() => Promise<unknown>)[] = [];
  const clients: Client[] = [];
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
  const open = (text: string): Client => {
    const client = openClient(mesh.port, mesh.address);
    clients.push(client);
    client.socket.write(text, 'latin1');
    return client;
  };
  const bodiesOf = (client: Client): string[] =>
    client
      .text()
      .split('HTTP/1.1 ')
      .slice(1)
      .map((answer) => answer.split('\r\n\r\n').slice(1).join('\r\n\r\n'));

  beforeEach(async () => {
    mesh = await startHttpMesh({ limits: { holdMs: 2000 } });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    await mesh.stop();
    for (const stop of stops.splice(0)) await stop();
  });

  it('get their answers in the order of their requests, whichever is ready first', async () => {
    const finish = new Map<string, () => void>();
    const one = await replica((req, res) => {
      finish.set(req.url ?? '', () => res.writeHead(200, { 'Content-Length': String(req.url?.length ?? 0) }).end(req.url));
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open(Array.from({ length: 6 }, (_each, at) => `GET /${at} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    await until(() => finish.size === 4, 'four are open at a time');
    for (const path of ['/3', '/2', '/1']) finish.get(path)?.();
    await until(() => one.requests.length === 4 && client.text() === '', 'none overtakes the first');
    finish.get('/0')?.();
    await until(() => finish.size === 6, 'further ones follow');
    finish.get('/5')?.();
    finish.get('/4')?.();
    await until(() => bodiesOf(client).join() === '/0,/1,/2,/3,/4,/5', client.text);
    await until(() => mesh.counters().open === 0, 'all are counted as gone');
  });

  it('have a request that changes something wait for those before it', async () => {
    const finish: (() => void)[] = [];
    const one = await replica((req, res) => {
      req.resume();
      finish.push(() => res.end(req.url));
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const post = 'POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc';
    const client = open(`GET /get HTTP/1.1\r\nHost: a\r\n\r\n${post}GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    for (const path of ['/get', '/post', '/last']) {
      await until(() => finish.length === 1, path);
      assert.equal(one.requests.at(-1)?.url, path);
      finish.shift()?.();
    }
    await until(() => client.ended, client.text);
    assert.equal(one.requests.length, 3);
  });

  it('get pages of the mesh in their turn, too', async () => {
    const one = await replica(saying('one'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a b\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => client.ended, client.text);
    assert.match(client.text(), /^HTTP\/1\.1 200 .*one.*HTTP\/1\.1 400 .*its host has signs/s);
    assert.equal(one.requests.length, 1);
  });

  it('may send a request byte by byte', async () => {
    const one = await replica((req, res) => {
      let body = '';
      req.on('data', (piece: Buffer) => (body += piece.toString()));
      req.on('end', () => res.end(`${body} ${String(req.trailers['x-end'])}`));
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const text = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-End: end\r\n\r\n';
    const client = open('');
    client.socket.setNoDelay(true);
    for (const sign of `${text}${text}`) await new Promise((resolve) => client.socket.write(sign, resolve));
    await until(() => client.text().split('abcde end').length === 3, client.text);
  });

  it('of HTTP/1.0 are kept where they ask for it and the answer has a length', async () => {
    const one = await replica((req, res) => {
      if (req.url === '/') res.setHeader('Content-Length', 3);
      res.write('one');
      res.end();
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await until(() => client.text().endsWith('one'), client.text);
    assert.match(client.text(), /Connection: keep-alive\r\n/);
    client.socket.write('GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await until(() => client.ended, client.text);
    assert.match(client.text(), /Connection: close\r\n\r\none$/);
  });

  it('get in chunks what a replica ends with its connection, and can tell where it broke off', async () => {
    const one = await rawReplica((socket) =>
      socket.once('data', (piece: Buffer) => {
        socket.write('HTTP/1.0 200 OK\r\n\r\nsome');
        if (piece.includes('/whole')) socket.end(' more');
      }),
    );
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    assert.equal((await mesh.ask('/whole')).body, 'some more');
    const client = open('GET /broken HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => client.text().endsWith('\r\n4\r\nsome\r\n'), client.text);
    one.sockets.at(-1)?.resetAndDestroy();
    await until(() => client.ended || client.closed, 'the connection ends');
    assert.ok(client.text().endsWith('some\r\n'), 'without an end of its chunks');
  });

  it('get no body to HEAD, and go on', async () => {
    const one = await replica((_req, res) => res.writeHead(200, { 'Content-Length': '3' }).end('one'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open(
      'HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    await until(() => client.ended, client.text);
    assert.deepEqual(bodiesOf(client), ['', '', 'one']);
    assert.equal(one.sockets.size <= 3, true);
  });

  it('get hints ahead of the answer', async () => {
    const one = await replica((_req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' });
      res.end('one');
    });
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until(() => client.ended, client.text);
    assert.match(client.text(), /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/i);
  });

  it('may go on after an answer that came early, once the rest of the request is there', async () => {
    const one = await replica((_req, res) => res.writeHead(413, { 'Content-Length': '3' }).end('too'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    await until(() => client.text().endsWith('too'), client.text);
    client.socket.write('defGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until(() => client.ended, client.text);
    assert.deepEqual(bodiesOf(client), ['too', 'too']);
  });

  it('hold back an upload that the replica does not take', async () => {
    const one = await rawReplica((socket) => socket.pause());
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const client = open('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n');
    let sent = 0;
    let still = 0;
    const piece = Buffer.alloc(65_536);
    while (sent < 90_000_000 && client.socket.write(piece)) sent += piece.length;
    client.socket.on('drain', () => {
      still = 0;
      sent += piece.length;
      client.socket.write(piece);
    });
    await until(() => still++ > 20, 'it is held back', 20_000);
    assert.ok(sent < 50_000_000, `${sent} bytes`);
  });
});
