// Bytes by which requests are smuggled past proxies, against a whole port: the replica sees nothing that the mesh did not mean to send, and the mesh goes on.
import assert from 'node:assert/strict';
import { targetOf } from '../../support/routes.ts';
import { type HttpMesh, startHttpMesh } from '../../support/http-mesh.ts';
import { openClient, type Replica, startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

describe('http request smuggling', () => {
  let mesh: HttpMesh;
  let replica: Replica;
  let seen = '';

  beforeEach(async () => {
    mesh = await startHttpMesh();
    seen = '';
    // Answers when it has seen an end of a head, whatever else there is.
    replica = await startReplica((socket) =>
      socket.on('data', (piece: Buffer) => {
        seen += piece.toString('latin1');
        if (seen.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }),
    );
    await mesh.apply(mesh.route([targetOf('a', replica.port)]));
  });
  afterEach(async () => {
    await mesh.stop();
    await replica.stop();
  });

  const answerTo = async (text: string): Promise<string> => {
    const client = openClient(mesh.port, mesh.address);
    client.socket.write(text, 'latin1');
    await until(
      () => client.ended || client.closed,
      () => `no end: ${client.text()}`,
    );
    client.socket.destroy();
    return client.text();
  };
  const inner = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n';
  const post = 'POST / HTTP/1.1\r\nHost: a\r\n';

  const refused: Readonly<Record<string, string>> = {
    'CL.TE': `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`,
    'TE.CL': `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`,
    'TE.TE, two of them': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`,
    'TE.TE, in a list': `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`,
    'TE with a vertical tab': `${post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE with other signs before it': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE with a space before the colon': `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE with a space before its name': `${post} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE on a folded line': `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE behind a bare line feed': `${post}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE behind a bare carriage return': `${post}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'TE in HTTP/1.0': `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'the same length twice': `${post}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab`,
    'a list of lengths': `${post}Content-Length: 2, 2\r\n\r\nab`,
    'a negative length': `${post}Content-Length: -2\r\n\r\nab`,
    'a length with a plus': `${post}Content-Length: +2\r\n\r\nab`,
    'a hexadecimal length': `${post}Content-Length: 0x2\r\n\r\nab`,
    'an empty length': `${post}Content-Length:\r\n\r\nab`,
    'a length beyond all numbers': `${post}Content-Length: 18446744073709551618\r\n\r\nab`,
    'a zero byte in a header': `${post}X: a\0b\r\n\r\n`,
    'a header without a name': `${post}: b\r\n\r\n`,
    'a line without a colon': `${post}Content-Length\r\n\r\n`,
    'a host with a path in it': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
    'a host with an address before it': 'GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n',
    'a tunnel': 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n',
    'a tunnel to a path': 'CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n',
    'a fragment': 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n',
    'a space in the target': 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n',
    'HTTP/2 without having asked': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a request without a version': 'GET /\r\n\r\n',
  };
  for (const [what, bytes] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      const text = await answerTo(bytes);
      assert.match(text, /^HTTP\/1\.1 (400|501) [^\r]*\r\n/);
      assert.equal(text.match(/^HTTP\/1\.1 \d/gm)?.length, 1, 'one answer, and the connection is closed');
      assert.equal(seen, '');
      assert.equal(mesh.portCounters().badRequests, 1);
    });
  }

  const brokenBodies: Readonly<Record<string, string>> = {
    'a size that is none': 'x\r\nab\r\n0\r\n\r\n',
    'a size with a plus': '+2\r\nab\r\n0\r\n\r\n',
    'a size as in programs': '0x2\r\nab\r\n0\r\n\r\n',
    'a size beyond all numbers': 'fffffffffffffffff\r\nab\r\n0\r\n\r\n',
    'a space behind the size': '2 \r\nab\r\n0\r\n\r\n',
    'a chunk longer than its size': '1\r\nab\r\n0\r\n\r\n',
    'bare line feeds': '2\nab\n0\n\n',
    'a bare carriage return': '2\rXab\r\n0\r\n\r\n',
    'an extension that is none': '2;\r\nab\r\n0\r\n\r\n',
    'an extension with a line feed': '2;a=\nb\r\nab\r\n0\r\n\r\n',
    'an extension without an end': `2;${'a'.repeat(5000)}\r\nab\r\n0\r\n\r\n`,
    'a length in its trailers': '2\r\nab\r\n0\r\nContent-Length: 5\r\n\r\n',
    'a folded trailer': '2\r\nab\r\n0\r\nX: a\r\n b\r\n\r\n',
    'trailers without an end': `2\r\nab\r\n0\r\n${'X: y\r\n'.repeat(1001)}\r\n`,
  };
  for (const [what, body] of Object.entries(brokenBodies)) {
    it(`ends the request where its chunks have ${what}, so that the replica never takes it for whole`, async () => {
      const text = await answerTo(`${post}Transfer-Encoding: chunked\r\n\r\n${body}${inner}`);
      assert.match(text, /^HTTP\/1\.1 400 /);
      assert.doesNotMatch(seen, /\r\n0\r\n\r\n|admin/);
      assert.equal(mesh.portCounters().badRequests, 1);
      await until(() => replica.sockets.every((socket) => socket.destroyed || socket.readableEnded), 'its connection is not used again');
    });
  }

  it('takes chunk extensions out', async () => {
    const client = openClient(mesh.port, mesh.address);
    client.socket.write(`${post}Transfer-Encoding: chunked\r\n\r\n2;a=b;c="d e"\r\nab\r\n0;last\r\n\r\n`);
    await until(() => client.text().endsWith('ok'), client.text);
    assert.match(seen, /\r\n\r\n2\r\nab\r\n0\r\n\r\n$/);
    client.socket.destroy();
  });

  it('takes out of trailers what may not be in them', async () => {
    const client = openClient(mesh.port, mesh.address);
    client.socket.write(`${post}Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nHost: b\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n`);
    await until(() => client.text().endsWith('ok'), client.text);
    assert.match(seen, /\r\n\r\n0\r\nX-Sum: 1\r\n\r\n$/);
    client.socket.destroy();
  });

  it('does not give a client the bytes that a replica sent behind an answer', async () => {
    let turn = 0;
    const liar = await startReplica((socket) =>
      socket.on('data', () => {
        const behind = turn++ === 0 ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil' : '';
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${behind}`);
      }),
    );
    await mesh.apply(mesh.route([targetOf('b', liar.port)]));
    for (let i = 0; i < 3; i++) assert.equal((await mesh.ask()).body, 'ok');
    await liar.stop();
  });

  const garbled: Readonly<Record<string, string>> = {
    'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
    'a length and chunks': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a coding that is not known': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'bare line feeds': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
    'a change of protocols that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
  };
  for (const [what, bytes] of Object.entries(garbled)) {
    it(`answers 502 for a replica's answer with ${what}`, async () => {
      const liar = await startReplica((socket) => socket.on('data', () => socket.write(bytes)));
      await mesh.apply(mesh.route([targetOf('b', liar.port)]));
      const answer = await mesh.ask('/', { method: 'POST', body: 'x' });
      assert.equal(answer.status, 502);
      assert.match(answer.body, /its replica answered with what is not HTTP/);
      await liar.stop();
    });
  }
});
