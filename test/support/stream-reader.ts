// Reads a server stream of gRPC in a test: one message at a time, each with a deadline, and how it ended.
import { ShoalError } from '../../lib/errors.ts';
import { fromServiceError } from '../../lib/rpc/index.ts';
import { until } from './until.ts';

interface ReadableCall<T> {
  on(event: 'data', listener: (message: T) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  cancel(): void;
}

export interface StreamReader<T> {
  /** All that came so far. */
  readonly messages: readonly T[];
  /** Resolves to the first message, of all that came or come, that `matches`. */
  find(matches: (message: T) => boolean, what: string): Promise<T>;
  /** Resolves when the server ended the stream; to its error where it was one. */
  ended(): Promise<ShoalError | undefined>;
  cancel(): void;
}

export function readStream<T>(call: ReadableCall<T>): StreamReader<T> {
  const messages: T[] = [];
  let end: { readonly error: ShoalError | undefined } | undefined;
  call.on('data', (message) => messages.push(message));
  call.on('end', () => {
    end ??= { error: undefined };
  });
  call.on('error', (error) => {
    end = { error: fromServiceError(error, 'the test') };
  });
  return {
    messages,
    async find(matches, what) {
      await until(
        () => messages.some(matches),
        () => `${what}; got ${JSON.stringify(messages.slice(-5))}, ${end === undefined ? 'open' : `ended ${end.error?.message ?? ''}`}`,
      );
      const found = messages.find(matches);
      if (found === undefined) throw new ShoalError('internal', 'unreachable');
      return found;
    },
    async ended() {
      await until(() => end !== undefined, 'the stream ends');
      return end?.error;
    },
    cancel: () => call.cancel(),
  };
}
