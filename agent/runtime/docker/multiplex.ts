// The engine's multiplexed streams (no tty): frames of an 8-byte header {source, 0, 0, 0, length big-endian} and a payload.
import { type Readable, type Writable } from 'node:stream';
import { once } from 'node:events';
import { ShoalError } from '../../../lib/errors.ts';
import { OutputSource } from '../../../proto/index.ts';

const HEADER_BYTES = 8;
/** Engines send a few tens of KiB at most; more means that this is no such stream. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;

export interface Frame {
  readonly source: OutputSource;
  readonly payload: Buffer;
}

/** Whole frames in order; reads no faster than they are taken. A frame cut off by the end is dropped. */
export async function* frames(stream: Readable): AsyncGenerator<Frame> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wanted = HEADER_BYTES;
  let source: OutputSource | undefined;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    held.push(chunk);
    heldBytes += chunk.length;
    while (heldBytes >= wanted) {
      const all: Buffer = held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held);
      const bytes = all.subarray(0, wanted);
      held = [all.subarray(wanted)];
      heldBytes -= wanted;
      if (source === undefined) {
        source = bytes[0] === 2 ? OutputSource.STDERR : OutputSource.STDOUT;
        wanted = bytes.readUInt32BE(4);
        if (wanted > MAX_FRAME_BYTES)
          throw new ShoalError('internal', `the engine sent a frame of ${wanted} bytes: not a multiplexed stream`);
      } else {
        if (bytes.length > 0) yield { source, payload: bytes };
        source = undefined;
        wanted = HEADER_BYTES;
      }
    }
  }
}

/** Writes the frames to their streams, waiting where one is full; ends both at the end. */
export async function demultiplex(stream: Readable, stdout: Writable, stderr: Writable): Promise<void> {
  try {
    for await (const { source, payload } of frames(stream)) {
      const target = source === OutputSource.STDERR ? stderr : stdout;
      if (!target.write(payload)) await once(target, 'drain');
    }
  } finally {
    stdout.end();
    stderr.end();
  }
}
