// Reads a server's stream as an async iterable, with its errors as ShoalError and the consumer's pace passed on to the server.
import { ShoalError } from '../../lib/errors.ts';
import { fromServiceError, isTransportFailure } from '../../lib/rpc/index.ts';

/** A stream of grpc-js; only `deserialize` knows the type of what comes. */
interface MessageStream<T> extends AsyncIterable<unknown> {
  readonly deserialize: (bytes: Buffer) => T;
  cancel(): void;
}

/** Yields each message; throws a ShoalError where the stream ends with an error. Leaving the loop early cancels the call. */
export async function* messages<T>(stream: MessageStream<T>, target: string): AsyncGenerator<T> {
  try {
    for await (const message of stream) yield message as T;
  } catch (error) {
    throw withoutOwnCancel(fromServiceError(error, target));
  } finally {
    stream.cancel();
  }
}

/** Only this side cancels a call without a word from the peer: on Ctrl-C. */
function withoutOwnCancel(error: ShoalError): ShoalError {
  const isOwn = error.code === 'cancelled' && isTransportFailure(error);
  return isOwn ? new ShoalError('cancelled', 'interrupted', { cause: error }) : error;
}
