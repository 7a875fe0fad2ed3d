// Checksummed, numbered frames: the unit that is written whole or not at all. One group of changes is one frame, and the next is
// written only after it was synced; so a damaged frame with a good one behind it was once acknowledged.
import { crc32 } from 'node:zlib';

export interface Frame {
  readonly sequence: number;
  readonly payload: Buffer;
}

export interface FrameScan {
  readonly frames: readonly Frame[];
  /** Where the good frames end. */
  readonly goodBytes: number;
  /** What follows them: nothing, an unfinished write, or damage with a good frame behind it. */
  readonly tail: 'clean' | 'torn' | 'damaged';
}

/** "SHO1" */
const MAGIC = 0x53484f31;
/** magic 4, sequence 8, payload length 4, payload checksum 4, checksum of these 4 */
const HEADER_BYTES = 24;

export function encodeFrame(sequence: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(MAGIC, 0);
  frame.writeBigUInt64BE(BigInt(sequence), 4);
  frame.writeUInt32BE(payload.length, 12);
  frame.writeUInt32BE(crc32(payload), 16);
  frame.writeUInt32BE(crc32(frame.subarray(0, 20)), 20);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/** Reads frames numbered from `firstSequence` on without a hole. Payloads are views of `bytes`. */
export function scanFrames(bytes: Buffer, firstSequence: number): FrameScan {
  const frames: Frame[] = [];
  let offset = 0;
  for (;;) {
    const frame = frameAt(bytes, offset);
    if (frame?.sequence !== firstSequence + frames.length) break;
    frames.push(frame);
    offset += HEADER_BYTES + frame.payload.length;
  }
  if (offset === bytes.length) return { frames, goodBytes: offset, tail: 'clean' };
  const damaged = hasLaterFrame(bytes, offset, firstSequence + frames.length);
  return { frames, goodBytes: offset, tail: damaged ? 'damaged' : 'torn' };
}

function frameAt(bytes: Buffer, offset: number): Frame | undefined {
  if (offset + HEADER_BYTES > bytes.length || bytes.readUInt32BE(offset) !== MAGIC) return undefined;
  if (bytes.readUInt32BE(offset + 20) !== crc32(bytes.subarray(offset, offset + 20))) return undefined;
  const end = offset + HEADER_BYTES + bytes.readUInt32BE(offset + 12);
  if (end > bytes.length) return undefined;
  const payload = bytes.subarray(offset + HEADER_BYTES, end);
  if (bytes.readUInt32BE(offset + 16) !== crc32(payload)) return undefined;
  return { sequence: Number(bytes.readBigUInt64BE(offset + 4)), payload };
}

function hasLaterFrame(bytes: Buffer, from: number, lastSequence: number): boolean {
  const magic = Buffer.from('SHO1');
  for (let at = bytes.indexOf(magic, from); at !== -1; at = bytes.indexOf(magic, at + 1)) {
    const frame = frameAt(bytes, at);
    if (frame !== undefined && frame.sequence >= lastSequence) return true;
  }
  return false;
}
