// One published TCP port, side by side: direct, HAProxy tcp (one thread), Shoal's tcp path and a naive node:net pipe, all to the same three nginx ports.
// --profile leaves a V8 profile of Shoal in the folder that it names.
// Run: node --import tsx test/bench/mesh/tcp.ts [--rounds 5] [--seconds 3] [--only 'new connections'] [--built] [--profile /tmp/p]  (--built: Shoal from dist/, after npm run build)
import { routeOf } from '../../support/routes.ts';
import { COMMON_MEASURES, megabytesOf } from './rounds.ts';
import { benchmark, startHaproxy, startProgram, startShoal } from './ways.ts';

const BULK_BYTES = 64 * 2 ** 20;

const NAIVE = `
  const net = require('node:net'); let next = 0;
  net.createServer({ noDelay: true }, (client) => {
    const server = net.connect({ host: HOST, port: BACKENDS[next++ % BACKENDS.length], noDelay: true });
    client.on('error', () => server.destroy()); server.on('error', () => client.destroy());
    client.pipe(server); server.pipe(client);
  }).listen({ host: HOST, port: PORT, backlog: 4096 });`;

await benchmark(
  'haproxy tcp',
  [...COMMON_MEASURES, { path: '/bulk', connections: 8, readings: [megabytesOf('bulk', BULK_BYTES)] }],
  { bulk: BULK_BYTES },
  async (stage) => [
    await startHaproxy('tcp', stage),
    await startShoal('shoal tcp', stage, (port) => routeOf(port, [])),
    await startProgram('naive pipe', NAIVE, stage),
  ],
);
