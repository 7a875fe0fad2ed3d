// Reads a server's stream as an async iterable, with its errors as ShoalError and the consumer's pace passed on to the server.
import { fromServiceError } from '../../lib/rpc/index.ts';

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
    throw fromServiceError(error, target);
  } finally {
    stream.cancel();
  }
}
