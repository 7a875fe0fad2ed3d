// Messages on a byte stream: a four-byte big-endian length, then that many bytes.
import { ShoalError } from './errors.ts';

const HEADER_BYTES = 4;

export function encodeFrame(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Takes chunks as they come; calls `onFrame` for each whole payload, in order. Throws `invalid_argument` on one above `maxBytes`. */
export function frameReader(maxBytes: number, onFrame: (payload: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let held = 0;
  let wanted = HEADER_BYTES;
  let inHeader = true;
  const take = (): Buffer => {
    const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    const rest = all.subarray(wanted);
    chunks = rest.length > 0 ? [rest] : [];
    held = rest.length;
    return all.subarray(0, wanted);
  };
  return (chunk) => {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= wanted) {
      const bytes = take();
      if (inHeader) {
        wanted = bytes.readUInt32BE(0);
        if (wanted > maxBytes)
          throw new ShoalError('invalid_argument', `a frame of ${String(wanted)} bytes; at most ${String(maxBytes)} are taken`);
        inHeader = false;
      } else {
        wanted = HEADER_BYTES;
        inHeader = true;
        onFrame(bytes);
      }
    }
  };
}
