// Reads the state back from a directory: the newest snapshot, then the log behind it. A write that a crash left unfinished is cut
// off (it was never acknowledged); anything else that does not fit together is refused, because to go on would lose acknowledged writes.
import { join } from 'node:path';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { Engine } from '../engine/engine.ts';
import type { HistoryLimits } from '../engine/history.ts';
import { decodeChanges } from './codec.ts';
import type { Disk } from './disk.ts';
import { type Frame, type FrameScan, scanFrames } from './frame.ts';
import { segmentPath, segmentSequence } from './segment.ts';
import { isTemporary, readSnapshot, snapshotSequence } from './snapshot-file.ts';

export interface Recovered {
  readonly engine: Engine;
  /** Of the last frame that was applied or is in the snapshot. */
  readonly sequence: number;
  /** The segment to go on with; undefined: begin a new one. */
  readonly segment: { readonly firstSequence: number; readonly bytes: number } | undefined;
  /** In all segments behind the snapshot. */
  readonly logBytes: number;
}

/** Throws `failed_precondition` naming the file that is damaged or missing. */
export async function recover(disk: Disk, directory: string, history: HistoryLimits, log: Logger): Promise<Recovered> {
  const names = await disk.list(directory);
  const snapshot = Math.max(0, ...names.map((name) => snapshotSequence(name) ?? 0));
  await removeLeftovers(disk, directory, names, snapshot);
  const engine = snapshot === 0 ? new Engine(undefined, history) : new Engine(await readSnapshot(disk, directory, snapshot), history);

  const starts = names
    .map((name) => segmentSequence(name) ?? 0)
    .filter((first) => first > snapshot)
    .sort((left, right) => left - right);
  const segments: { first: number; bytes: Buffer }[] = [];
  for (const first of starts) {
    const bytes = await disk.read(segmentPath(directory, first));
    if (bytes.length > 0) segments.push({ first, bytes });
    // Made for a change of segment that did not happen.
    else await disk.remove(segmentPath(directory, first));
  }

  let sequence = snapshot;
  let logBytes = 0;
  let last: Recovered['segment'];
  for (const [index, segment] of segments.entries()) {
    const path = segmentPath(directory, segment.first);
    if (segment.first !== sequence + 1) throw missing(path, sequence + 1);
    const scan = scanFrames(segment.bytes, segment.first);
    checkTail(scan, path, index === segments.length - 1);
    if (scan.tail === 'torn') {
      log.warn('an unfinished write at the end of the log was cut off; it was never acknowledged', {
        path,
        bytes: segment.bytes.length - scan.goodBytes,
      });
      await cut(disk, path, scan.goodBytes);
    }
    for (const frame of scan.frames) replay(engine, frame, path);
    sequence += scan.frames.length;
    logBytes += scan.goodBytes;
    last = { firstSequence: segment.first, bytes: scan.goodBytes };
  }
  return { engine, sequence, segment: last, logBytes };
}

async function removeLeftovers(disk: Disk, directory: string, names: readonly string[], snapshot: number): Promise<void> {
  for (const name of names) {
    const oldSnapshot = (snapshotSequence(name) ?? snapshot) < snapshot;
    const oldSegment = (segmentSequence(name) ?? snapshot + 1) <= snapshot;
    if (isTemporary(name) || oldSnapshot || oldSegment) await disk.remove(join(directory, name));
  }
}

function checkTail(scan: FrameScan, path: string, isLast: boolean): void {
  if (scan.tail === 'clean' || (isLast && scan.tail === 'torn')) return;
  throw new ShoalError(
    'failed_precondition',
    `the store's log ${path} is damaged at byte ${scan.goodBytes}, with acknowledged writes behind it: the disk has changed what was ` +
      'written. Restore the directory from a backup',
  );
}

function missing(path: string, expected: number): ShoalError {
  return new ShoalError(
    'failed_precondition',
    `the store's log ${path} does not follow what is before it: entry ${expected} is missing. Was a snapshot or log file removed? ` +
      'Restore the directory from a backup',
  );
}

function replay(engine: Engine, frame: Frame, path: string): void {
  try {
    for (const change of decodeChanges(frame.payload)) engine.apply(change);
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'failed_precondition') throw error;
    throw new ShoalError(
      'failed_precondition',
      `the store's log ${path} has an entry (${frame.sequence}) that does not fit the state before it; restore the directory from a backup`,
      { cause: error },
    );
  }
}

async function cut(disk: Disk, path: string, length: number): Promise<void> {
  const file = await disk.openAppend(path);
  try {
    await file.truncate(length);
    await file.sync();
  } finally {
    await file.close();
  }
}
