// Paths of Unix sockets: the kernel takes 107 bytes, and cuts or refuses longer ones.
import { relative } from 'node:path';
import { ShoalError } from './errors.ts';

const MAX_BYTES = 107;

/** `path`, or the same one as seen from the working directory where only that is short enough. Throws `invalid_argument` where neither is. */
export function socketPath(path: string): string {
  const shorter = [path, relative(process.cwd(), path)].find((candidate) => Buffer.byteLength(candidate) <= MAX_BYTES);
  if (shorter !== undefined) return shorter;
  throw new ShoalError(
    'invalid_argument',
    `${path} is too long for a socket (${String(Buffer.byteLength(path))} bytes; the system takes ${String(MAX_BYTES)}); choose a shorter --data-dir`,
  );
}
