// One published HTTP port, side by side: direct, HAProxy http (one thread), nginx http (one worker), Shoal's http path and a plain http-proxy server with a
// keep-alive agent, all to the same three nginx ports. None of the others adds X-Forwarded-For and its like, or counts; Shoal does.
// --profile leaves a V8 profile of Shoal in the folder that it names.
// Run: node --import tsx test/bench/mesh/http.ts [--rounds 5] [--seconds 3] [--only 'new connections'] [--built] [--profile /tmp/p]  (--built: Shoal from dist/, after npm run build)
import { HttpRule, IngressSettings, PortProtocol } from '../../../proto/index.ts';
import { routeOf } from '../../support/routes.ts';
import { COMMON_MEASURES, megabytesOf } from './rounds.ts';
import { benchmark, startHaproxy, startNginx, startProgram, startShoal } from './ways.ts';

const BODY_BYTES = 2 ** 20;

const PLAIN = `
  const http = require('node:http'); let next = 0;
  const proxy = require('http-proxy').createProxyServer({ agent: new http.Agent({ keepAlive: true }) });
  proxy.on('error', (error, req, res) => res.destroy());
  http.createServer((req, res) => {
    proxy.web(req, res, { target: { host: HOST, port: BACKENDS[next++ % BACKENDS.length] } });
  }).listen({ host: HOST, port: PORT, backlog: 4096 });`;

await benchmark(
  'haproxy http',
  [
    ...COMMON_MEASURES,
    { path: '/body', connections: 8, readings: [megabytesOf('answers of 1 MB', BODY_BYTES)] },
    {
      path: '/sink',
      connections: 8,
      script: `wrk.method = "POST"; wrk.body = string.rep("x", ${BODY_BYTES})`,
      readings: [megabytesOf('requests of 1 MB', BODY_BYTES)],
    },
  ],
  { body: BODY_BYTES },
  async (stage) => [
    await startHaproxy('http', stage),
    await startNginx(stage),
    await startShoal('shoal http', stage, (port) =>
      routeOf(port, [], { protocol: PortProtocol.HTTP, settings: IngressSettings.create({ http: HttpRule.create({ path: '/' }) }) }),
    ),
    await startProgram('http-proxy', PLAIN, stage),
  ],
);
