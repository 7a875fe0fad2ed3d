import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocketServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describeFailures, detectEngine } from '../../../lib/container-engine.ts';
import { systemClock } from '../../../lib/clock.ts';

describe('finding the engine', () => {
  const servers: Server[] = [];
  let folder: string;
  const { signal } = new AbortController();
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-d-'));
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.close();
      await once(server, 'close');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  const listen = async (server: Server, path: string): Promise<string> => {
    mkdirSync(dirname(path), { recursive: true });
    servers.push(server.listen(path));
    await once(server, 'listening');
    return path;
  };
  const answering = (body: string): Server => createServer((_request, response) => response.end(body));
  const find = (dockerHost: string | undefined, env: Record<string, string> = {}) =>
    detectEngine({ dockerHost, env, clock: systemClock }, signal);

  it('takes the one that is named, with or without a scheme', async () => {
    const path = await listen(answering('{"Version":"20.10.24"}'), join(folder, 'd.sock'));
    const expected = { socketPath: path, engine: 'docker', version: '20.10.24' };
    assert.deepEqual((await find(path)).found, expected);
    assert.deepEqual((await find(undefined, { DOCKER_HOST: `unix://${path}` })).found, expected);
  });

  it('tells Podman, at the socket of the session', async () => {
    const path = await listen(answering('{"Version":"4.9","Components":[{"Name":"Podman Engine"}]}'), join(folder, 'podman/podman.sock'));
    const { found } = await find(undefined, { XDG_RUNTIME_DIR: folder });
    // A Docker engine of this machine would come first.
    if (found?.engine !== 'docker') assert.deepEqual(found, { socketPath: path, engine: 'podman', version: '4.9' });
  });

  it('gives the reason for each that does not answer', async () => {
    const missing = await find('/no/such/socket');
    assert.deepEqual(missing.failed, [{ socket: '/no/such/socket', reason: 'there is no such socket' }]);
    assert.match(describeFailures(await find('tcp://127.0.0.1:2375')), /only Unix sockets/);
    const other = await listen(answering('<html>'), join(folder, 'other.sock'));
    assert.match(describeFailures(await find(other)), /no container engine/);
  });

  it('gives up on one that accepts and says nothing', async () => {
    const path = await listen(
      createSocketServer((socket) => socket.resume()),
      join(folder, 'mute.sock'),
    );
    assert.match(describeFailures(await find(path)), /longer than 2 s/);
  });
});
