// Sends on what was read, which is valid only until the next read: copied into a piece of its own, together with what goes before and behind it, so that it
// is one write. Big pieces come from a store and go back when they are written, for making and collecting them costs more than what they carry.
import { type Socket } from 'node:net';
import { READ_BUFFER_BYTES } from '../tcp/limits.ts';

/** Below it Node's own pool is as good. */
const BIG_BYTES = 8192;
/** A whole read, with a head. */
const SPARE_BYTES = READ_BUFFER_BYTES + 4096;
/** 4 MiB for all connections. */
const MAX_SPARES = 60;

const spares: Buffer[] = [];

/** `head` and `tail` are latin1. What the socket says of its own fullness holds. */
export function writeOn(socket: Socket, head: string, bytes: Buffer, from: number, to: number, tail = ''): void {
  const length = head.length + to - from + tail.length;
  const spare = length < BIG_BYTES || length > SPARE_BYTES ? undefined : (spares.pop() ?? Buffer.allocUnsafeSlow(SPARE_BYTES));
  const piece = spare?.subarray(0, length) ?? Buffer.allocUnsafe(length);
  if (head !== '') piece.write(head, 0, 'latin1');
  piece.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), head.length);
  if (tail !== '') piece.write(tail, length - tail.length, 'latin1');
  if (spare === undefined) {
    socket.write(piece);
    return;
  }
  socket.write(piece, (error) => {
    // Of one that failed nobody knows who still looks at it.
    if ((error === null || error === undefined) && spares.length < MAX_SPARES) spares.push(spare);
  });
}
