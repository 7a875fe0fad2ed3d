// /livez, /readyz and /metrics of a long-lived process, over plain HTTP on an address of its own.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Registry, collectDefaultMetrics, register } from 'prom-client';
import { errnoOf, messageOf, ShoalError } from './errors.ts';

export interface HealthOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Undefined: ready; otherwise why not. */
  readonly ready: () => string | undefined;
}

export interface HealthServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** The process's metrics; every part registers its own here. */
export const metrics: Registry = register;

const REQUEST_TIMEOUT_MS = 5000;
/** Each look at the event loop's lag wakes the process: at the usual 10 ms that alone is half a percent of a core. */
const LAG_PRECISION_MS = 200;

export async function startHealthServer(options: HealthOptions): Promise<HealthServer> {
  collectDefaultMetrics({ eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    switch (request.url) {
      case '/livez':
        answer(200, 'ok\n');
        return;
      case '/readyz': {
        const reason = options.ready();
        answer(reason === undefined ? 200 : 503, `${reason ?? 'ok'}\n`);
        return;
      }
      case '/metrics':
        metrics.metrics().then(
          (text) => {
            answer(200, text, metrics.contentType);
          },
          (error: unknown) => {
            answer(500, `${messageOf(error)}\n`);
          },
        );
        return;
      default:
        answer(404, 'not here: try /livez, /readyz or /metrics\n');
    }
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = 64;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

function listen(server: Server, options: HealthOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const why = errnoOf(error) === 'EADDRINUSE' ? 'something else listens there; choose another with --health-addr' : error.message;
      reject(new ShoalError('unavailable', `cannot serve health on ${options.host}:${String(options.port)}: ${why}`, { cause: error }));
    });
    server.listen(options.port, options.host, resolve);
  });
}
