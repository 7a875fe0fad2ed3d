// Stands before every call of a server: says in the log what grpc-js refuses by itself (messages too large, bytes that are no message), in words that
// also go to the client, and ends calls whose first message does not come.
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { systemClock, type Timer } from '../clock.ts';
import { ShoalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { rareLog } from '../rare-log.ts';
import { carriesError, toStatus } from './errors.ts';

type Status = Parameters<ReturnType<ServerInterceptor>['sendStatus']>[0];

/** Large requests over slow links take some seconds; what has begun and does not go on only holds memory. */
const FIRST_MESSAGE_MS = 30_000;

export function callGuard(log: Logger, maxMessageBytes: number): ServerInterceptor {
  const warn = rareLog(log, systemClock);
  return (method, call) => {
    const path = method.path;
    const start = call.start.bind(call);
    const sendStatus = call.sendStatus.bind(call);
    let timer: Timer | undefined;
    // grpc-js tells nobody of the statuses that it makes itself; it sends them by this method of the call.
    call.sendStatus = (sent) => {
      const refusal = carriesError(sent.metadata) ? undefined : refusalOf(sent, path, maxMessageBytes);
      if (refusal === undefined) {
        sendStatus(sent);
        return;
      }
      warn('a call was refused', { path, peer: call.getPeer(), reason: refusal.message });
      sendStatus(toStatus(refusal));
    };
    call.start = (listener) => {
      timer = systemClock.after(
        FIRST_MESSAGE_MS,
        () => {
          call.sendStatus(toStatus(new ShoalError('deadline_exceeded', `${path}: no message within ${FIRST_MESSAGE_MS / 1000} s`)));
        },
        true,
      );
      start({
        onReceiveMetadata: (metadata) => {
          listener.onReceiveMetadata(metadata);
        },
        onReceiveMessage: (message) => {
          timer?.cancel();
          listener.onReceiveMessage(message);
        },
        onReceiveHalfClose: () => {
          listener.onReceiveHalfClose();
        },
        // Also after a regular end.
        onCancel: () => {
          timer?.cancel();
          listener.onCancel();
        },
      });
    };
    return new ServerInterceptingCall(call);
  };
}

/** Undefined: not a refusal of what the client sent. */
function refusalOf(sent: Status, path: string, maxMessageBytes: number): ShoalError | undefined {
  const { details } = sent;
  if (sent.code === status.RESOURCE_EXHAUSTED) {
    const limit = `at most ${maxMessageBytes} bytes are taken for one`;
    return new ShoalError('resource_exhausted', `${path}: a message is too large (${details}); ${limit}`, { retryable: false });
  }
  if (sent.code === status.INTERNAL && /^(Error deserializing request|Failed to decompress|Invalid grpc-timeout)/.test(details)) {
    return new ShoalError('invalid_argument', `${path}: a malformed message (${details})`);
  }
  return undefined;
}
