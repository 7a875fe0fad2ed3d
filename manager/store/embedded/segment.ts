// Names of the log's files. A segment is named by the first frame it may hold.
import { join } from 'node:path';

const NAME = /^log-(\d{16})$/;

export function segmentPath(directory: string, firstSequence: number): string {
  return join(directory, `log-${String(firstSequence).padStart(16, '0')}`);
}

/** The first sequence in a segment's name, or undefined. */
export function segmentSequence(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}
