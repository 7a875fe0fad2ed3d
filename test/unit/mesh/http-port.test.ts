import assert from 'node:assert/strict';
import { type LogFields, silentLogger } from '../../../lib/log.ts';
import { HttpRule, PortProtocol } from '../../../proto/index.ts';
import { draining, routeOf, targetOf } from '../../support/routes.ts';
import { type HttpMesh, type HttpReplica, saying, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { openClient } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

describe('http ports', () => {
  let mesh: HttpMesh;
  const logged: LogFields[] = [];
  const stops: (() => Promise<unknown>)[] = [];
  const replica = async (...args: Parameters<typeof startHttpReplica>): Promise<HttpReplica> => {
    const started = await startHttpReplica(...args);
    stops.push(() => started.stop());
    return started;
  };
  /** Everything that comes back for these bytes, until the connection ends. */
  const raw = async (text: string): Promise<string> => {
    const client = openClient(mesh.port, mesh.address);
    client.socket.write(text, 'latin1');
    await until(
      () => client.ended || client.closed,
      () => `no end: ${client.text()}`,
    );
    client.socket.destroy();
    return client.text();
  };

  beforeEach(async () => {
    mesh = await startHttpMesh({ log: { ...silentLogger, info: (message, fields) => logged.push({ message, ...fields }) } });
  });
  afterEach(async () => {
    logged.length = 0;
    await mesh.stop();
    for (const stop of stops.splice(0)) await stop();
  });

  it('are shared by services, by host and path', async () => {
    const [shop, api, any] = await Promise.all(['shop', 'api', 'any'].map((name) => replica(saying(name))));
    const ruled = (host: string, path: string, port: number | undefined, name: string) =>
      mesh.route([targetOf(name, port ?? 0)], { http: HttpRule.create({ host, path }) }, { serviceName: name });
    const routes = [
      ruled('shop.example.com', '/', shop?.port, 'shop'),
      ruled('shop.example.com', '/api', api?.port, 'api'),
      ruled('*.example.com', '/', any?.port, 'any'),
    ];
    await mesh.apply(...routes);
    const bodyOf = async (host: string, path: string) => (await mesh.ask(path, { headers: { host } })).body;
    assert.equal(await bodyOf('shop.example.com', '/'), 'shop');
    assert.equal(await bodyOf('SHOP.example.com:8080', '/api?x'), 'api');
    assert.equal(await bodyOf('shop.example.com.', '/api/v1'), 'api');
    assert.equal(await bodyOf('shop.example.com', '/apis'), 'shop');
    assert.equal(await bodyOf('other.example.com', '/api'), 'any');
    assert.match(
      await bodyOf('example.com', '/x'),
      new RegExp(`no service is published on port ${mesh.port} for host example.com and path /x`),
    );
    await mesh.apply(...routes.slice(0, 2));
    assert.equal((await mesh.ask('/', { headers: { host: 'other.example.com' } })).status, 404);
    assert.equal(mesh.portCounters().unknown, 2);
  });

  it('believe a target that names its host more than the Host header', async () => {
    const one = await replica(saying('one'));
    await mesh.apply(mesh.route([targetOf('a', one.port)], { http: HttpRule.create({ host: 'a.example.com', path: '/' }) }));
    const text = await raw('GET http://a.example.com/x HTTP/1.1\r\nHost: b.example.com\r\nConnection: close\r\n\r\n');
    assert.match(text, /\r\none\r\n/);
    assert.equal(one.requests[0]?.url, '/x');
    assert.equal(one.requests[0].headers.host, 'a.example.com');
  });

  it('tell replicas who the client is, and believe nobody else', async () => {
    const one = await replica(saying('one'));
    const headers = {
      host: 'a.example.com',
      'x-forwarded-for': '6.6.6.6',
      forwarded: 'for=6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-user': 'root',
    };
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    await mesh.ask('/', { headers });
    const own = one.requests[0]?.headers ?? {};
    assert.match(String(own['x-forwarded-for']), /^127\.\d+\.\d+\.\d+$/);
    assert.equal(own['x-forwarded-proto'], 'http');
    assert.equal(own['x-forwarded-host'], 'a.example.com');
    assert.equal(own['x-forwarded-user'], undefined);
    assert.equal(own.forwarded, `for=${String(own['x-forwarded-for'])};proto=http;host=a.example.com`);
    await mesh.apply(mesh.route([targetOf('a', one.port)], { trustedSources: ['127.0.0.0/8'] }));
    await mesh.ask('/', { headers });
    const kept = one.requests[1]?.headers ?? {};
    assert.equal(kept['x-forwarded-for'], `6.6.6.6, ${String(own['x-forwarded-for'])}`);
    assert.equal(kept['x-forwarded-proto'], 'https');
    assert.equal(kept['x-forwarded-user'], 'root');
    assert.equal(kept.forwarded, `for=6.6.6.6, ${own.forwarded ?? ''}`);
  });

  it('bring a client back to its replica by a cookie, and to another when it is gone', async () => {
    const [one, two] = await Promise.all(['one', 'two'].map((name) => replica(saying(name))));
    const targets = [targetOf('a', one?.port ?? 0), targetOf('b', two?.port ?? 0)];
    await mesh.apply(mesh.route(targets, { stickyCookie: 'seat' }));
    const first = await mesh.ask();
    const cookie = /^(seat=[\w-]{22}); Path=\/; HttpOnly; SameSite=Lax$/.exec(first.headers['set-cookie']?.[0] ?? '')?.[1];
    assert.ok(cookie, JSON.stringify(first.headers));
    for (let i = 0; i < 10; i++) {
      const again = await mesh.ask('/', { headers: { cookie: `x=1; ${cookie}` } });
      assert.equal(again.body, first.body);
      assert.equal(again.headers['set-cookie'], undefined);
    }
    await mesh.apply(
      mesh.route(
        targets.map((target, at) => ((at === 0) === (first.body === 'one') ? draining(target) : target)),
        { stickyCookie: 'seat' },
      ),
    );
    const moved = await mesh.ask('/', { headers: { cookie } });
    assert.notEqual(moved.body, first.body);
    assert.ok(moved.headers['set-cookie']);
  });

  it('take out what concerns one hop only', async () => {
    const one = await replica((_req, res) =>
      res.writeHead(200, { Connection: 'x-hop', 'X-Hop': '1', 'Keep-Alive': 'timeout=1', 'X-End': '2' }).end('one'),
    );
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const answer = await mesh.ask('/', {
      headers: { connection: 'x-secret, host', 'x-secret': '1', te: 'gzip, trailers', 'proxy-connection': 'x' },
    });
    const headers = one.requests[0]?.headers ?? {};
    assert.equal(headers['x-secret'], undefined);
    assert.equal(headers['proxy-connection'], undefined);
    assert.equal(headers['te'], 'trailers');
    assert.ok(headers.host);
    assert.equal(answer.headers['x-hop'], undefined);
    assert.equal(answer.headers['x-end'], '2');
  });

  const refused: Readonly<Record<string, readonly [request: string, status: number]>> = {
    'two lengths': ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc', 400],
    'a length and a coding': ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    'a coding that is not known': ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
    'a coding in HTTP/1.0': ['POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    'two hosts': ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    'no host': ['GET / HTTP/1.1\r\n\r\n', 400],
    'a folded header': ['GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n', 400],
    'bare line feeds': ['GET / HTTP/1.1\nHost: a\n\n', 400],
    'a space before the colon': ['GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    'another protocol': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    'a strange target': ['GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    'a head that is too long': [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 431],
    'too many headers': [`GET / HTTP/1.1\r\nHost: a\r\n${'A: b\r\n'.repeat(1001)}\r\n`, 431],
  };
  for (const [what, [request, status]] of Object.entries(refused)) {
    it(`refuse ${what}`, async () => {
      const one = await replica(saying('one'));
      await mesh.apply(mesh.route([targetOf('a', one.port)]));
      const text = await raw(request);
      assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
      assert.equal(one.requests.length, 0);
      assert.equal((await mesh.ask()).body, 'one');
    });
  }

  it('pass many headers on, each of them', async () => {
    const one = await replica(saying('one'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    const many = Object.fromEntries(Array.from({ length: 990 }, (_each, at) => [`x-${at}`, '']));
    assert.equal((await mesh.ask('/', { headers: many })).status, 200);
    assert.equal(one.requests[0]?.headers['x-989'], '');
  });

  it('give up on clients that do not send their head', async () => {
    await mesh.apply(mesh.route([], { requestTimeoutMs: 200 }));
    assert.match(await raw('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: '), /^HTTP\/1\.1 408 /);
    assert.equal(mesh.portCounters().badRequests, 1);
  });

  it('log what share of the requests the service asks for', async () => {
    const one = await replica(saying('one'));
    await mesh.apply(mesh.route([targetOf('a', one.port)]));
    await mesh.ask();
    await mesh.apply(mesh.route([targetOf('a', one.port)], { accessLogPermille: 1000 }));
    await mesh.ask('/logged');
    await until(() => logged.length > 0, 'it is logged');
    assert.equal(logged.length, 1);
    const { durationMs, client, ...line } = logged[0] ?? {};
    assert.deepEqual(line, {
      message: 'request',
      port: mesh.port,
      service: 'web',
      method: 'GET',
      host: `${mesh.address}:${mesh.port}`,
      target: '/logged',
      status: 200,
      taskId: 'a',
    });
    assert.ok(Number(durationMs) >= 0 && client !== undefined);
  });

  it('that have no rule left are closed; one that something else holds is a problem', async () => {
    await mesh.apply(mesh.route([]));
    await mesh.apply();
    const client = openClient(mesh.port, mesh.address);
    await until(() => client.error === 'ECONNREFUSED', 'it is closed');
    const holder = await replica(saying('x'));
    await mesh.apply(routeOf(holder.port, [], { protocol: PortProtocol.TCP }));
    assert.match(mesh.ports.problems()[0]?.message ?? '', /protocol/);
  });
});
