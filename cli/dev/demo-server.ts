// The replica of the demo service: answers every request with who it is. Runs as a plain process, or inside the demo image.
import { createServer } from 'node:http';

const { HOST = '0.0.0.0', PORT = '8080', REPLICA = 'a replica', NODE_NAME = 'a node' } = process.env;

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(`${REPLICA} on ${NODE_NAME}\n`);
});
server.keepAliveTimeout = 60_000;
server.listen(Number(PORT), HOST, () => {
  process.stdout.write(`${REPLICA} listens on ${HOST}:${PORT}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => process.exit(0));
}
