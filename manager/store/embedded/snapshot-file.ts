// One file with the whole state as of a frame of the log. Written beside, synced, then renamed: under its name it is always whole.
import { join } from 'node:path';
import { ShoalError } from '../../../lib/errors.ts';
import type { EngineImage, Item } from '../engine/change.ts';
import { decodeImageHead, decodeItems, encodeImageHead, encodeItems } from './codec.ts';
import type { Disk } from './disk.ts';
import { encodeFrame, scanFrames } from './frame.ts';

const TEMPORARY = '.tmp';
const NAME = /^snapshot-(\d{16})$/;
/** Items are encoded in pieces of about this size, so that a large state does not stall the process. */
const PIECE_BYTES = 256 * 1024;

function snapshotName(sequence: number): string {
  return `snapshot-${String(sequence).padStart(16, '0')}`;
}

/** The sequence in a snapshot's name, or undefined. */
export function snapshotSequence(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function isTemporary(name: string): boolean {
  return name.endsWith(TEMPORARY);
}

/** Resolves with its size in bytes once it is durable. After an error nothing of it is left under its name. */
export async function writeSnapshot(disk: Disk, directory: string, sequence: number, image: EngineImage): Promise<number> {
  const path = join(directory, snapshotName(sequence));
  const temporary = `${path}${TEMPORARY}`;
  const file = await disk.create(temporary);
  let bytes = 0;
  try {
    let number = 1;
    for (const payload of pieces(image)) {
      const frame = encodeFrame(number, payload);
      await file.append(frame);
      bytes += frame.length;
      number += 1;
    }
    await file.sync();
  } catch (error) {
    await file.close().catch(() => undefined);
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
  await file.close();
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
  return bytes;
}

/** Throws `failed_precondition` for a file that is not as it was written. */
export async function readSnapshot(disk: Disk, directory: string, sequence: number): Promise<EngineImage> {
  const path = join(directory, snapshotName(sequence));
  const scan = scanFrames(await disk.read(path), 1);
  const [first, ...rest] = scan.frames;
  if (first !== undefined && scan.tail === 'clean') {
    const { head, itemCount } = decodeImageHead(first.payload);
    const items = rest.flatMap((frame) => decodeItems(frame.payload));
    if (items.length === itemCount) return { ...head, items };
  }
  throw new ShoalError(
    'failed_precondition',
    `the store's snapshot ${path} is damaged: its checksums do not match. The disk has changed what was written. Restore the directory from a backup`,
  );
}

function* pieces(image: EngineImage): Generator<Buffer> {
  yield encodeImageHead(image);
  let piece: Item[] = [];
  let bytes = 0;
  for (const item of image.items) {
    piece.push(item);
    bytes += item.key.length + item.value.length;
    if (bytes < PIECE_BYTES) continue;
    yield encodeItems(piece);
    piece = [];
    bytes = 0;
  }
  if (piece.length > 0) yield encodeItems(piece);
}
