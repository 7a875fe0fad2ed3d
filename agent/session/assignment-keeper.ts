// Takes assignments from the session, puts them on disk, and only then hands them on to be acted on: a restarted agent, even one without
// a manager, never acts on something older. Many increments in quick succession share one write.
import { join } from 'node:path';
import { AssignmentSet, type AssignmentDelta, type Epoch } from '../../proto/index.ts';
import { backoff } from '../../lib/backoff.ts';
import { type Clock } from '../../lib/clock.ts';
import { type Disk, groupWriter, systemDisk } from '../../lib/durable-file.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { applyDelta, applySet, type AssignmentBook, bookOf, emptyBook, setOf } from './assignment-book.ts';

export interface AssignmentKeeper {
  /** What is on disk: for Register. */
  appliedEpoch(): Epoch | undefined;
  /** The book as it stands on disk. */
  applied(): AssignmentBook;
  takeSet(set: AssignmentSet, clusterId: string): void;
  /** False: a gap; the caller asks for the complete set. */
  takeDelta(delta: AssignmentDelta, clusterId: string): boolean;
}

export interface KeeperOptions {
  readonly dataDir: string;
  /** The host's unless given. */
  readonly disk?: Disk;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Called for each book once it is on disk; `complete` once a whole set came in this process's life. */
  readonly onApplied: (book: AssignmentBook, complete: boolean) => void;
}

const FILE = 'assignments.bin';
const RETRY = { baseMs: 200, capMs: 5000 };

export function openAssignments(options: KeeperOptions): AssignmentKeeper {
  const { dataDir, clock, rng, log, disk = systemDisk } = options;
  const path = join(dataDir, FILE);
  let applied = load(path, log, disk);
  let newest = { book: applied, complete: false };
  let writing = newest;
  let retrying = false;
  const retry = backoff(RETRY, rng);
  const content = (): Uint8Array => {
    writing = newest;
    return AssignmentSet.encode(setOf(writing.book));
  };
  const writer = groupWriter(path, content, disk);

  const persist = (): void => {
    writer.flush().then(
      () => {
        retry.reset();
        if (applied === writing.book) return;
        applied = writing.book;
        options.onApplied(applied, writing.complete);
      },
      (error: unknown) => {
        if (retrying) return;
        retrying = true;
        // Nothing is acted on that is not on disk; what runs goes on.
        log.error('cannot write the assignments; nothing new is started or stopped until that works', { path, error: messageOf(error) });
        clock.after(
          retry.nextMs(),
          () => {
            retrying = false;
            persist();
          },
          true,
        );
      },
    );
  };
  const take = (book: AssignmentBook, complete: boolean): void => {
    newest = { book, complete };
    persist();
  };
  return {
    appliedEpoch: () => applied.epoch,
    applied: () => applied,
    takeSet(set, clusterId) {
      const change = applySet(newest.book, set, clusterId);
      if (change.kind === 'applied') take(change.book, true);
      else log.error('refused assignments', { reason: change.reason });
    },
    takeDelta(delta, clusterId) {
      const change = applyDelta(newest.book, delta, clusterId);
      switch (change.kind) {
        case 'applied':
          take(change.book, newest.complete);
          return true;
        case 'refused':
          log.error('refused assignments', { reason: change.reason });
          return true;
        case 'gap':
          log.warn('missed assignments; asking for all of them', { reason: change.reason });
          return false;
      }
    },
  };
}

function load(path: string, log: Logger, disk: Disk): AssignmentBook {
  const bytes = disk.read(path);
  if (bytes === undefined) return emptyBook;
  try {
    return bookOf(AssignmentSet.decode(bytes));
  } catch (error) {
    disk.rename(path, `${path}.unreadable`);
    log.error('the stored assignments cannot be read; tasks are left as they are until a manager sends all assignments', {
      kept: `${path}.unreadable`,
      error: messageOf(error),
    });
    return emptyBook;
  }
}
