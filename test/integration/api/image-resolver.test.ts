import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import { createImageResolver } from '../../../manager/api/index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const MANIFEST = '{"schemaVersion":2}';

type Handler = (request: IncomingMessage, response: ServerResponse, host: string) => void;

describe('image resolver', () => {
  let server: Server;
  let host: string;
  let handle: Handler;
  const asked: string[] = [];

  before(async () => {
    server = createServer((request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      handle(request, response, host);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    asked.length = 0;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const resolver = createImageResolver({ clock: systemClock, insecureRegistries: [] });
  const resolve = (image: string, auth = ''): Promise<string> => resolver.resolve(image, auth, new AbortController().signal);
  const reason = (call: Promise<string>): Promise<string> =>
    call.then(
      (digest) => assert.fail(`resolved to ${digest}`),
      (error: unknown) => messageOf(error),
    );
  const answer = (response: ServerResponse, status: number, headers: Record<string, string> = {}, body = ''): void => {
    response.writeHead(status, headers).end(body);
  };
  const login = (fields: Record<string, string>): string => Buffer.from(JSON.stringify(fields)).toString('base64');

  it('asks once for the manifest, lists of platforms first', async () => {
    let accept = '';
    handle = (request, response) => {
      accept = request.headers.accept ?? '';
      answer(response, 200, { 'docker-content-digest': DIGEST });
    };
    assert.equal(await resolve(`${host}/team/app:1`), `${host}/team/app:1@${DIGEST}`);
    assert.deepEqual(asked, ['HEAD /v2/team/app/manifests/1']);
    assert.match(accept, /^application\/vnd\.oci\.image\.index/);
  });

  it('makes the digest itself where the registry does not say it', async () => {
    handle = (_request, response) => answer(response, 200, {}, MANIFEST);
    const digest = createHash('sha256').update(MANIFEST).digest('hex');
    assert.equal(await resolve(`${host}/app`), `${host}/app:latest@sha256:${digest}`);
    assert.deepEqual(asked, ['HEAD /v2/app/manifests/latest', 'GET /v2/app/manifests/latest']);
  });

  it('leaves an image alone that has a digest', async () => {
    assert.equal(await resolve(`${host}/app@${DIGEST}`), `${host}/app@${DIGEST}`);
    assert.deepEqual(asked, []);
  });

  it('logs in with Basic authentication where it is asked for', async () => {
    handle = (request, response) => {
      if (request.headers.authorization === `Basic ${Buffer.from('me:secret').toString('base64')}`) {
        answer(response, 200, { 'docker-content-digest': DIGEST });
      } else answer(response, 401, { 'www-authenticate': 'Basic realm="x"' });
    };
    const auth = login({ username: 'me', password: 'secret' });
    assert.equal(await resolve(`${host}/app`, auth), `${host}/app:latest@${DIGEST}`);
    assert.match(await reason(resolve(`${host}/app`)), /asks for a login/);
    assert.match(await reason(resolve(`${host}/app`, login({ username: 'me', password: 'wrong' }))), /denies access to app/);
  });

  it('fetches a token where it is asked for, with the login or the identity token', async () => {
    handle = (request, response) => {
      const url = request.url ?? '';
      if (url.startsWith('/token')) {
        const known = request.method === 'POST' || request.headers.authorization?.startsWith('Basic ') === true;
        answer(
          response,
          200,
          {},
          JSON.stringify(request.method === 'POST' ? { access_token: 'good' } : { token: known ? 'good' : 'anonymous' }),
        );
      } else if (request.headers.authorization === 'Bearer good') answer(response, 200, { 'docker-content-digest': DIGEST });
      else answer(response, 401, { 'www-authenticate': `Bearer realm="http://${host}/token",service="s",scope="repository:app:pull"` });
    };
    assert.equal(await resolve(`${host}/app`, login({ username: 'me', password: 'x' })), `${host}/app:latest@${DIGEST}`);
    assert.equal(asked[1], 'GET /token?service=s&scope=repository%3Aapp%3Apull');
    assert.equal(await resolve(`${host}/app`, login({ identitytoken: 'id' })), `${host}/app:latest@${DIGEST}`);
    assert.equal(asked[4], 'POST /token');
    assert.match(await reason(resolve(`${host}/app`)), /denies access to app/);
  });

  it('says in plain words what the registry refused', async () => {
    handle = (_request, response) => answer(response, 404);
    assert.equal(await reason(resolve(`${host}/app:9`)), `${host} has no app:9`);
    handle = (_request, response) => answer(response, 503);
    assert.equal(await reason(resolve(`${host}/app:9`)), `${host} answers with status 503`);
    handle = (_request, response) => answer(response, 401, { 'www-authenticate': 'Negotiate' });
    assert.match(await reason(resolve(`${host}/app:9`)), /authentication that is not known/);
    handle = (request) => request.socket.destroy();
    assert.match(await reason(resolve(`${host}/app:9`)), new RegExp(`${host} cannot be reached: `));
  });

  it('tells the platforms of a list, and of a lone manifest by its configuration', async () => {
    const platforms = (image: string) => resolver.platforms(image, '', new AbortController().signal);
    const list = [
      { platform: { os: 'linux', architecture: 'amd64' } },
      { platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
      { platform: { os: 'linux', architecture: 'arm', variant: 'v6' } },
      { platform: { os: 'unknown', architecture: 'unknown' } },
      {},
    ];
    handle = (_request, response) => answer(response, 200, {}, JSON.stringify({ manifests: list }));
    assert.deepEqual(await platforms(`${host}/app:1@${DIGEST}`), [
      { os: 'linux', arch: 'amd64' },
      { os: 'linux', arch: 'arm' },
    ]);
    assert.deepEqual(asked, [`GET /v2/app/manifests/${DIGEST}`]);
    const config = { os: 'linux', architecture: 'arm64' };
    handle = (request, response) =>
      answer(response, 200, {}, JSON.stringify(request.url?.includes('/blobs/') === true ? config : { config: { digest: DIGEST } }));
    assert.deepEqual(await platforms(`${host}/app@${DIGEST}`), [{ os: 'linux', arch: 'arm64' }]);
    handle = (_request, response) => answer(response, 200, {}, 'no JSON');
    assert.match(
      await platforms(`${host}/app@${DIGEST}`).then(
        () => assert.fail(),
        (error: unknown) => messageOf(error),
      ),
      /JSON/,
    );
  });

  it('does not wait for a registry that never answers', async () => {
    handle = () => undefined;
    assert.match(await reason(resolve(`${host}/app`)), /took longer than 3 s/);
    assert.equal(asked.length, 1);
  });
});
