// Whether a connection can be made. Nothing is sent.
import { connect } from 'node:net';
import { errnoOf } from '../../lib/errors.ts';
import { type Address, formatAddress } from './target.ts';
import type { Answer } from './verdict.ts';

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer',
};

/** Never rejects. Leaves no connection behind, in TIME_WAIT or in the task: it is reset. */
export function tcpCheck(address: Address, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host: address.host, port: address.port });
    const end = (reason: string | undefined): void => {
      signal.removeEventListener('abort', onAbort);
      if (reason === undefined) socket.resetAndDestroy();
      else socket.destroy();
      resolve(reason === undefined ? { kind: 'passed' } : { kind: 'failed', reason: `tcp ${formatAddress(address)}: ${reason}` });
    };
    const onAbort = (): void => {
      end(abortReason(signal));
    };
    socket.once('connect', () => {
      end(undefined);
    });
    socket.on('error', (error) => {
      end(networkReason(error));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** What went wrong with a connection, without the system's jargon. */
export function networkReason(error: Error): string {
  return WORDS[errnoOf(error) ?? ''] ?? error.message;
}

export function abortReason(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : 'no answer';
}
