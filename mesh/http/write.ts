// Bytes that were read, made into bytes that may be kept: what is read is valid only until the next read.

/** A head, bytes and a tail (both texts latin1) in one piece, so that it is one write. */
export function withHead(head: string, bytes: Buffer, from: number, to: number, tail = ''): Buffer {
  const end = head.length + to - from;
  const piece = Buffer.allocUnsafe(end + tail.length);
  if (head !== '') piece.write(head, 0, 'latin1');
  piece.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), head.length);
  if (tail !== '') piece.write(tail, end, 'latin1');
  return piece;
}
