// Finds out quickly whether anybody listens at an address, so that a dead manager costs little before the next one is tried.
import { connect } from 'node:net';
import { type Clock, withDeadline } from '../../lib/clock.ts';
import { errnoOf, messageOf, ShoalError } from '../../lib/errors.ts';

/** A LAN answers within milliseconds; two seconds leave room for a lost packet. */
const CONNECT_DEADLINE_MS = 2000;

/** Resolves once a TCP connection was accepted. Rejects with `unavailable` and the reason. */
export async function reach(address: string, clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await withDeadline(clock, CONNECT_DEADLINE_MS, 'connecting', (inner) => tryConnect(address, inner), signal);
  } catch (error) {
    if (signal.aborted) throw ShoalError.from(error);
    throw new ShoalError('unavailable', reasonOf(error), { cause: error });
  }
}

function tryConnect(address: string, signal: AbortSignal): Promise<void> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(address.slice(colon + 1)) });
    const end = (): void => {
      socket.destroy();
    };
    signal.addEventListener('abort', end, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', end);
      end();
      resolve();
    });
    socket.once('error', reject);
  });
}

function reasonOf(error: unknown): string {
  switch (errnoOf(error)) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'no such host';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'no route to it';
    default:
      return messageOf(error);
  }
}
