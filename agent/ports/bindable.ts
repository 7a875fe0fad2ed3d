// Whether a port can be bound at an address of this host now. That something holds it is an answer; that nothing could be bound there is an error.
import { createSocket } from 'node:dgram';
import { createServer, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { errnoOf, messageOf, ShoalError } from '../../lib/errors.ts';

/** False: something else has it. Port 0: any. Rejects with `failed_precondition` where no port of that address could be bound, whichever it is. */
export async function bindable(protocol: 'tcp' | 'udp', address: string, port: number): Promise<boolean> {
  try {
    await (protocol === 'tcp' ? bindTcp(address, port) : bindUdp(address, port));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return false;
    throw new ShoalError('failed_precondition', `no port can be opened at the data address ${address}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Undefined: it is an address of this host, no address at all, or the system does not say. */
export async function foreignAddress(address: string): Promise<string | undefined> {
  if (isIP(address) === 0) return undefined;
  try {
    await bindTcp(address, 0);
    return undefined;
  } catch (error) {
    return errnoOf(error) === 'EADDRNOTAVAIL' ? `${address} ${notOurs()}` : undefined;
  }
}

function reasonOf(error: unknown): string {
  switch (errnoOf(error)) {
    case 'EADDRNOTAVAIL':
      return `it ${notOurs()}`;
    case 'EACCES':
      return 'this user may not open it';
    default:
      return messageOf(error);
  }
}

function notOurs(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
  return `is not an address of this host; its addresses are ${[...new Set(addresses)].join(', ')}`;
}

function bindTcp(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.close(() => {
        resolve();
      });
    });
  });
}

function bindUdp(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.close(() => {
        resolve();
      });
    });
  });
}
