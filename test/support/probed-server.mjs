// What probes ask in tests, in whichever way its file says at that moment: healthy, failing or hanging. Arguments: file, HTTP, gRPC and
// TCP port; the last one listens only while it is healthy. A plain process is told by $HOST where to listen.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { setInterval } from 'node:timers';
import { Server, ServerCredentials } from '@grpc/grpc-js';

const [, , file, httpPort, grpcPort, tcpPort] = process.argv;
const host = process.env.HOST ?? '0.0.0.0';
const mode = () => readFileSync(file, 'utf8').trim();
const SERVING = 1;
const NOT_SERVING = 2;

createServer((request, response) => {
  if (mode() === 'hanging') return;
  const isHealthy = mode() === 'healthy' && request.headers['x-probe'] === 'yes' && request.headers.host === 'web.example';
  response.writeHead(isHealthy ? 302 : 503, { location: '/elsewhere' }).end();
}).listen(Number(httpPort), host);

const server = new Server();
const check = {
  path: '/grpc.health.v1.Health/Check',
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
};
server.addService(
  { check },
  {
    check: (call, answer) => {
      if (mode() === 'hanging') return;
      // Field 1 of the request is the service's name, field 1 of the answer the status.
      const isKnown = call.request.subarray(2).toString() === 'db';
      answer(null, Buffer.from([8, mode() === 'healthy' && isKnown ? SERVING : NOT_SERVING]));
    },
  },
);
server.bindAsync(`${host}:${grpcPort}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
const tcp = createTcpServer((socket) => socket.destroy());
const LOOK_MS = 50;
let isOpen = false;
setInterval(() => {
  const shallBeOpen = mode() === 'healthy';
  if (isOpen && !shallBeOpen) tcp.close();
  if (!isOpen && shallBeOpen) tcp.listen(Number(tcpPort), host);
  isOpen = shallBeOpen;
}, LOOK_MS);
process.on('SIGTERM', () => process.exit(0));
