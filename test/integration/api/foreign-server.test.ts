import assert from 'node:assert/strict';
import { createServer as createWebServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Server } from 'node:net';
import { shoal } from '../../support/captured-shell.ts';

const SERVERS: Readonly<Record<string, () => Server>> = {
  'a web server': () => createWebServer((_request, response) => response.writeHead(404).end('nothing here')),
  'a proxy': () =>
    createHttp2Server((_request, response) => {
      response.writeHead(404);
      response.end();
    }),
  'something else': () => createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-example\r\n')),
};

describe('a CLI that was pointed at the wrong port', () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.close();
  });

  for (const [what, start] of Object.entries(SERVERS)) {
    it(`says that ${what} is no manager, for reads and writes, and exits with 5`, async () => {
      const listening = start();
      server = listening;
      await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
      const address = listening.address();
      assert.ok(address !== null && typeof address === 'object');
      for (const args of [
        ['service', 'ls'],
        ['service', 'create', 'nginx'],
      ]) {
        const { exitCode, stderr } = await shoal(args, { manager: `127.0.0.1:${address.port}` });
        assert.equal(exitCode, 5, stderr);
        assert.match(stderr, /is no Shoal manager/);
      }
    });
  }
});
