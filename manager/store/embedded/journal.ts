// Writes changes to the log, one synced frame per group, and now and then the whole state to a snapshot file, after which the log
// before it goes. A frame that may be half on the disk and cannot be taken back makes the segment unusable: then a snapshot of
// the acknowledged state replaces it before anything else is written.
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Change } from '../engine/change.ts';
import { encodeChanges } from './codec.ts';
import type { AppendFile, Disk } from './disk.ts';
import { diskError } from './disk-error.ts';
import { encodeFrame } from './frame.ts';
import type { Recovered } from './recovery.ts';
import { segmentPath, segmentSequence } from './segment.ts';
import { snapshotSequence, writeSnapshot } from './snapshot-file.ts';

export interface JournalOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** A snapshot is taken when the log is longer than this, and longer than the snapshot before. */
  readonly snapshotAtBytes: number;
}

/** After a snapshot that failed. */
const SNAPSHOT_RETRY_MS = 10_000;

/** Calls of `write` must not overlap, and before the next one the engine must have taken the changes of the last. */
export class Journal {
  readonly #options: JournalOptions;
  readonly #engine: Recovered['engine'];
  #file: AppendFile;
  #segment: { firstSequence: number; bytes: number };
  /** Of the last frame that is good and synced. */
  #sequence: number;
  #logBytes: number;
  #snapshotBytes = 0;
  #snapshotNotBeforeMs = -Infinity;
  #snapshotting: Promise<void> | undefined;
  #unusable = false;

  private constructor(options: JournalOptions, recovered: Recovered, file: AppendFile) {
    this.#options = options;
    this.#engine = recovered.engine;
    this.#file = file;
    this.#sequence = recovered.sequence;
    this.#segment = recovered.segment === undefined ? { firstSequence: recovered.sequence + 1, bytes: 0 } : { ...recovered.segment };
    this.#logBytes = recovered.logBytes;
  }

  static async open(options: JournalOptions, recovered: Recovered): Promise<Journal> {
    const { disk, directory } = options;
    const file =
      recovered.segment === undefined
        ? await disk.create(segmentPath(directory, recovered.sequence + 1))
        : await disk.openAppend(segmentPath(directory, recovered.segment.firstSequence));
    await disk.syncDirectory(directory);
    return new Journal(options, recovered, file);
  }

  /** Resolves when the changes are durable; rejects as LocalServer's Persist promises. */
  async write(changes: readonly Change[]): Promise<void> {
    if (this.#unusable) await this.#replaceSegment();
    else if (this.#wantsSnapshot()) await this.#beginSnapshot();
    const frame = encodeFrame(this.#sequence + 1, encodeChanges(changes));
    try {
      await this.#file.append(frame);
    } catch (error) {
      throw diskError(error, this.#options.directory, await this.#takeBack());
    }
    try {
      await this.#file.sync();
    } catch (error) {
      // What a failed sync leaves on the disk is not defined, and a second one may lie.
      this.#unusable = true;
      throw diskError(error, this.#options.directory, false);
    }
    this.#sequence += 1;
    this.#segment.bytes += frame.length;
    this.#logBytes += frame.length;
  }

  async close(): Promise<void> {
    await this.#snapshotting;
    await this.#file.close();
  }

  /** Cuts off what a failed append left; true when that is certain. */
  async #takeBack(): Promise<boolean> {
    try {
      await this.#file.truncate(this.#segment.bytes);
      await this.#file.sync();
      return true;
    } catch (error) {
      this.#options.log.error('a failed write could not be taken back', { directory: this.#options.directory, error: messageOf(error) });
      this.#unusable = true;
      return false;
    }
  }

  #wantsSnapshot(): boolean {
    const { snapshotAtBytes, clock } = this.#options;
    return (
      this.#snapshotting === undefined &&
      this.#logBytes > Math.max(snapshotAtBytes, this.#snapshotBytes) &&
      clock.nowMs() >= this.#snapshotNotBeforeMs
    );
  }

  /** The log goes on in a new segment while the state as of now is written beside it. Where that fails, everything stays as it is. */
  async #beginSnapshot(): Promise<void> {
    const sequence = this.#sequence;
    const image = this.#engine.image();
    try {
      if (this.#segment.bytes > 0) await this.#openSegment(sequence + 1);
    } catch (error) {
      this.#snapshotFailed(error);
      return;
    }
    const { disk, directory } = this.#options;
    this.#snapshotting = (async () => {
      try {
        const bytes = await writeSnapshot(disk, directory, sequence, image);
        this.#snapshotDone(bytes);
        await this.#removeUpTo(sequence);
      } catch (error) {
        this.#snapshotFailed(error);
      } finally {
        this.#snapshotting = undefined;
      }
    })();
  }

  async #replaceSegment(): Promise<void> {
    await this.#snapshotting;
    const { disk, directory } = this.#options;
    // The number that the lost frame may have on the disk.
    const sequence = this.#sequence + 1;
    try {
      const bytes = await writeSnapshot(disk, directory, sequence, this.#engine.image());
      await this.#openSegment(sequence + 1);
      this.#snapshotDone(bytes);
    } catch (error) {
      throw diskError(error, directory, true);
    }
    this.#sequence = sequence;
    this.#unusable = false;
    await this.#removeUpTo(sequence);
  }

  async #openSegment(firstSequence: number): Promise<void> {
    const { disk, directory } = this.#options;
    const path = segmentPath(directory, firstSequence);
    const file = await disk.create(path);
    try {
      await disk.syncDirectory(directory);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    const old = this.#file;
    this.#file = file;
    this.#segment = { firstSequence, bytes: 0 };
    await old.close().catch(() => undefined);
  }

  #snapshotDone(bytes: number): void {
    this.#snapshotBytes = bytes;
    this.#logBytes = this.#segment.bytes;
  }

  #snapshotFailed(error: unknown): void {
    const { clock, log, directory } = this.#options;
    this.#snapshotNotBeforeMs = clock.nowMs() + SNAPSHOT_RETRY_MS;
    log.warn('the state was not written to a snapshot; the log is kept and grows until that works', { directory, error: messageOf(error) });
  }

  /** What a snapshot made superfluous; what is left over is removed at the next start. */
  async #removeUpTo(sequence: number): Promise<void> {
    const { disk, directory, log } = this.#options;
    try {
      for (const name of await disk.list(directory)) {
        const superfluous = (snapshotSequence(name) ?? sequence) < sequence || (segmentSequence(name) ?? sequence + 1) <= sequence;
        if (superfluous) await disk.remove(join(directory, name));
      }
    } catch (error) {
      log.debug('files of an older state were not removed', { directory, error: messageOf(error) });
    }
  }
}
