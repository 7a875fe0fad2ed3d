// Clients and replicas that break every promise, at random, while the table changes: nothing may stay open, and whoever behaves is served.
import assert from 'node:assert/strict';
import { type Socket } from 'node:net';
import { randomInt, type Rng, seededRng } from '../../../lib/rng.ts';
import { draining, targetOf } from '../../support/routes.ts';
import { type HttpMesh, saying, startHttpMesh, startHttpReplica } from '../../support/http-mesh.ts';
import { type Client, openClient, type Replica, startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

const CLIENTS = 400;
const AT_A_TIME = 20;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function pick<T>(rng: Rng, all: readonly T[]): T {
  const one = all[randomInt(rng, all.length)];
  if (one === undefined) throw new Error('nothing to choose from');
  return one;
}

const MANNERS: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.write(OK),
  (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`),
  (socket) => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n\r\n'),
  (socket) => socket.write(`${OK}${OK}`),
  (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'),
  (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf', () => socket.resetAndDestroy()),
  (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-', () => socket.destroy()),
  (socket) => socket.write('no http at all\r\n\r\n'),
  (socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n${'x'.repeat(400_000)}`),
  (socket) => socket.destroy(),
  (socket) => socket.end(),
  () => undefined,
];

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const REQUESTS: readonly string[] = [
  GET,
  GET + GET + GET + GET + GET + GET,
  'GET / HTTP/1.0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}${GET}`,
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe',
  `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${GET}`,
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!',
  `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  `${GET}GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  'GET / HTTP/1.1\r\nHost: a\r\nX: half of a',
  `${GET}garbage`,
];

/** Of this process, which is client, mesh and replica at once. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

describe('an http port among liars', function () {
  this.timeout(60_000);
  let mesh: HttpMesh;
  const replicas: Replica[] = [];

  afterEach(async () => {
    await mesh.stop();
    for (const replica of replicas.splice(0)) await replica.stop();
  });

  for (const seed of [1, 2, 3]) {
    it(`keeps nothing open, and serves on (seed ${seed})`, async () => {
      const rng = seededRng(seed);
      const before = openSockets();
      mesh = await startHttpMesh({ limits: { holdMs: 200 } });
      for (let at = 0; at < 4; at++) {
        replicas.push(
          await startReplica((socket) => {
            socket.on('data', () => {
              if (!socket.writable) return;
              const manner = pick(rng, MANNERS);
              if (rng.next() < 0.5) manner(socket);
              else setImmediate(() => socket.writable && manner(socket));
            });
          }),
        );
      }
      const targets = replicas.map((replica, at) => targetOf(`task-${at}`, replica.port));
      const settings = { responseTimeoutMs: 300, requestTimeoutMs: 500, idleTimeoutMs: 1000 };
      await mesh.apply(mesh.route(targets, settings));

      const visit = async (): Promise<void> => {
        const client: Client = openClient(mesh.port, mesh.address);
        const text = pick(rng, REQUESTS);
        const cut = randomInt(rng, text.length);
        const end = randomInt(rng, 4);
        client.socket.write(text.slice(0, cut), 'latin1');
        await new Promise(setImmediate);
        client.socket.write(text.slice(cut), 'latin1');
        if (end === 0) client.socket.resetAndDestroy();
        else if (end === 1) client.socket.end();
        else await until(() => client.bytes > 0 || client.ended || client.closed, 'an answer, or the end', 10_000);
        client.socket.destroy();
      };
      let left = CLIENTS;
      await Promise.all(
        Array.from({ length: AT_A_TIME }, async () => {
          while (left-- > 0) {
            await visit();
            if (left % 40 === 0) {
              await mesh.apply(
                mesh.route(
                  targets.map((target) => (rng.next() < 0.3 ? draining(target) : target)),
                  settings,
                ),
              );
            }
          }
        }),
      );
      await until(() => mesh.counters().open === 0 && mesh.counters().held === 0, 'nothing is open', 10_000);
      const honest = await startHttpReplica(saying('honest'));
      await mesh.apply(mesh.route([...targets.map(draining), targetOf('honest', honest.port)], settings));
      assert.deepEqual(mesh.ports.idle(), targets.map(({ taskId }) => taskId).sort());
      for (let i = 0; i < 5; i++) assert.equal((await mesh.ask()).body, 'honest');
      await until(
        () => replicas.every(({ sockets }) => sockets.every((socket) => socket.destroyed || socket.readableEnded)),
        'no connection is kept to them',
      );
      await honest.stop();
      for (const replica of replicas.splice(0)) await replica.stop();
      await until(
        () => openSockets() <= before,
        () => `${openSockets()} sockets in place of ${before}`,
        10_000,
      );
    });
  }
});
