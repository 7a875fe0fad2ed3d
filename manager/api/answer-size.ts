// Lists must fit into one message: a longer one is refused with what to do, not with the transport's bare numbers.
import { ShoalError } from '../../lib/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../lib/rpc/index.ts';
import type { Codec } from '../../proto/index.ts';

/** The answer itself; throws `resource_exhausted` where it is larger than a message may be. */
export function checkAnswerSize<T>(codec: Codec<T>, answer: T, entries: number, what: string): T {
  const bytes = codec.encode(answer).length;
  if (bytes <= MAX_MESSAGE_BYTES) return answer;
  throw new ShoalError(
    'resource_exhausted',
    `${entries} ${what} take ${bytes} bytes, more than one answer holds (${MAX_MESSAGE_BYTES}): narrow the list with filters`,
    { retryable: false },
  );
}
