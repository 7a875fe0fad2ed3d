// The addresses and ports of a development cluster: loopback only, checked before anything is started.
import { createServer } from 'node:net';
import { errnoOf, ShoalError } from '../../lib/errors.ts';
import type { DevNode } from './layout.ts';

/** Between the published ports of nodes that share one address. */
const OFFSET_STEP = 10_000;

export interface NeededAddress {
  readonly host: string;
  readonly port: number;
  /** For people, where it is taken. */
  readonly wayOut: string;
}

/** 127.0.0.1 to .N where the system has them; elsewhere all at 127.0.0.1, each with its published ports moved up. */
export async function devNodes(count: number): Promise<readonly DevNode[]> {
  const ownAddresses = count === 1 || (await listenProblem('127.0.0.2', 0)) === undefined;
  return Array.from({ length: count }, (_, index) => ({
    hostname: `node-${index + 1}`,
    address: ownAddresses ? `127.0.0.${index + 1}` : '127.0.0.1',
    portOffset: ownAddresses ? 0 : index * OFFSET_STEP,
  }));
}

/** Throws `unavailable` that names every taken address, and the way out. */
export async function requireFree(addresses: readonly NeededAddress[]): Promise<void> {
  const taken: string[] = [];
  for (const { host, port, wayOut } of addresses) {
    const problem = await listenProblem(host, port);
    if (problem !== undefined) taken.push(`${host}:${port} (${problem}): ${wayOut}`);
  }
  if (taken.length > 0) throw new ShoalError('unavailable', `needed here and not free:\n  ${taken.join('\n  ')}`);
}

/** A port that is free now. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new ShoalError('internal', 'no port was given'));
      });
    });
  });
}

function listenProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => {
      resolve(errnoOf(error) === 'EADDRINUSE' ? 'something else listens there' : error.message);
    });
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}
