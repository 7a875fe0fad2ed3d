// The embedded driver: one manager's store, in its process, durable in a directory of its own.
import { mkdir } from 'node:fs/promises';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { type Rng, systemRng } from '../../../lib/rng.ts';
import { DEFAULT_HISTORY } from '../engine/engine.ts';
import type { HistoryLimits } from '../engine/history.ts';
import { openLocalStore } from '../local/local-store.ts';
import { LocalServer } from '../local/server.ts';
import type { Store } from '../store.ts';
import { lockDirectory } from './directory-lock.ts';
import { type Disk, realDisk } from './disk.ts';
import { Journal } from './journal.ts';
import { recover } from './recovery.ts';

export interface EmbeddedStoreOptions {
  /** Made if it is missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly rng?: Rng;
  /** Kept in memory for watches from older revisions. Default 100,000 revisions and 64 MiB. */
  readonly history?: HistoryLimits;
  /** Length of the log at which the whole state is written anew, in bytes. Default 16 MiB. */
  readonly snapshotAtBytes?: number;
  /** For tests: a disk that fails. */
  readonly disk?: Disk;
}

const SNAPSHOT_AT_BYTES = 16 * 1024 * 1024;

/** Throws `failed_precondition` when the directory is in use, damaged or not usable; the message says which. */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const { directory, clock, log, rng = systemRng, disk = realDisk, history = DEFAULT_HISTORY } = options;
  await makeDirectory(directory);
  const lock = await lockDirectory(directory);
  try {
    const recovered = await recover(disk, directory, history, log);
    const snapshotAtBytes = options.snapshotAtBytes ?? SNAPSHOT_AT_BYTES;
    const journal = await Journal.open({ disk, directory, clock, log, snapshotAtBytes }, recovered);
    const server = new LocalServer({ engine: recovered.engine, clock, log, persist: (changes) => journal.write(changes) });
    log.debug('embedded store open', { directory, revision: recovered.engine.revision });
    return openLocalStore({
      server,
      clock,
      rng,
      log,
      onClose: async () => {
        await server.close();
        await journal.close();
        await lock.release().catch((error: unknown) => {
          log.warn('the lock of the store stays until this process ends', { directory, error: messageOf(error) });
        });
      },
    });
  } catch (error) {
    await lock.release().catch(() => undefined);
    throw error instanceof ShoalError
      ? error
      : new ShoalError('failed_precondition', `the store in ${directory} cannot be opened: ${messageOf(error)}`, { cause: error });
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ShoalError(
      'failed_precondition',
      `the store's directory ${directory} cannot be made: ${messageOf(error)}; give another --data-dir`,
      {
        cause: error,
      },
    );
  }
}
