import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { HttpRule } from '../../../proto/index.ts';
import { targetOf } from '../../support/routes.ts';
import { type HttpMesh, type HttpReplica, saying, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { until } from '../../support/until.ts';

describe('http ports with TLS', () => {
  let dir = '';
  let mesh: HttpMesh;
  let replica: HttpReplica;
  const sockets: TLSSocket[] = [];

  /** `names` as OpenSSL writes them: "DNS:a.example.com". */
  const certify = async (file: string, names: string, organization = 'one'): Promise<void> => {
    const made = join(dir, `.new-${file}`);
    const subject = ['-subj', `/O=${organization}/CN=x`, '-addext', `subjectAltName=${names}`];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${made}.key`];
    await promisify(execFile)('openssl', ['req', '-x509', ...key, '-out', `${made}.pem`, '-days', '2', ...subject]);
    await rename(`${made}.key`, join(dir, `${file}.key`));
    await rename(`${made}.pem`, join(dir, `${file}.crt`));
  };
  const handshake = (servername?: string): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        host: mesh.address,
        port: mesh.port,
        rejectUnauthorized: false,
        ALPNProtocols: ['h2', 'http/1.1'],
        ...(servername === undefined ? {} : { servername }),
      });
      sockets.push(socket);
      socket.on('error', reject);
      socket.on('secureConnect', () => {
        resolve(socket);
      });
    });
  const organizationOf = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.O;
  const answerOn = async (socket: TLSSocket, host: string): Promise<string> => {
    let text = '';
    socket.on('data', (piece: Buffer) => (text += piece.toString()));
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await until(() => text.includes('hello') || text.includes('404'), text);
    return text;
  };
  const serve = (host: string): Promise<void> =>
    mesh.apply(mesh.route([targetOf('a', replica.port)], { tls: true, http: HttpRule.create({ host, path: '/' }) }));

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-tls-'));
    replica = await startHttpReplica(saying('hello'));
    mesh = await startHttpMesh({ tlsDir: dir });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await mesh.stop();
    await replica.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it('choose the certificate by the name that the client asks for', async () => {
    await certify('a', 'DNS:a.example.com', 'exact');
    await certify('wild', 'DNS:*.example.com', 'wild');
    await certify('default', 'DNS:other', 'default');
    await serve('');
    assert.deepEqual(mesh.ports.problems(), []);
    const exact = await handshake('a.example.com');
    assert.equal(organizationOf(exact), 'exact');
    assert.equal(exact.alpnProtocol, 'http/1.1');
    assert.equal(organizationOf(await handshake('B.example.com')), 'wild');
    assert.equal(organizationOf(await handshake('a.b.example.com')), 'default');
    assert.equal(organizationOf(await handshake()), 'default');
    assert.match(await answerOn(exact, 'a.example.com'), /hello/);
    assert.equal(replica.requests[0]?.headers['x-forwarded-proto'], 'https');
  });

  it('say which certificate is missing, and serve it as soon as it is there', async () => {
    await serve('a.example.com');
    assert.match(
      mesh.ports.problems()[0]?.message ?? '',
      /^no TLS certificate for a\.example\.com on this node; put NAME\.crt and NAME\.key into /,
    );
    await assert.rejects(handshake('a.example.com'));
    await until(() => mesh.portCounters().badHandshakes === 1, 'it is counted');
    await writeFile(join(dir, 'a.key'), 'not a key');
    await writeFile(join(dir, 'a.crt'), 'not a certificate');
    await until(() => /a\.crt and \.key cannot be used/.test(mesh.ports.problems()[0]?.message ?? ''), 'why it is not used');
    await certify('a', 'DNS:a.example.com');
    await until(() => mesh.ports.problems().length === 0, 'it is served');
    await handshake('a.example.com');
  });

  it('take a new certificate without dropping a connection', async () => {
    await certify('a', 'DNS:a.example.com', 'old');
    await serve('a.example.com');
    const old = await handshake('a.example.com');
    await certify('a', 'DNS:a.example.com', 'new');
    await until(async () => organizationOf(await handshake('a.example.com')) === 'new', 'the new one');
    assert.equal(organizationOf(await handshake()), 'new');
    assert.match(await answerOn(old, 'a.example.com'), /hello/);
  });

  it('carry bodies both ways, and other protocols', async () => {
    await certify('a', 'DNS:a.example.com');
    const echo = createServer((req, res) => {
      req.pipe(res);
    });
    echo.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    await mesh.apply(mesh.route([targetOf('a', (echo.address() as AddressInfo).port)], { tls: true }));
    const size = 3_000_000;
    const uploads = await handshake('a.example.com');
    let bytes = 0;
    uploads.on('data', (piece: Buffer) => (bytes += piece.length));
    for (let i = 1; i <= 2; i++) {
      uploads.write(`POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: ${size}\r\n\r\n`);
      uploads.write(Buffer.alloc(size, 'x'));
      await until(
        () => bytes > i * size,
        () => `${bytes} bytes`,
      );
    }
    const upgraded = await handshake('a.example.com');
    let text = '';
    upgraded.on('data', (piece: Buffer) => (text += piece.toString()));
    upgraded.write('GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly');
    await until(
      () => text.endsWith('early'),
      () => text,
    );
    upgraded.write(' and late');
    await until(
      () => text.endsWith('early and late'),
      () => text,
    );
    upgraded.destroy();
    await until(() => mesh.counters().open === 0, 'it ends');
    echo.close();
    echo.closeAllConnections();
  });
});
