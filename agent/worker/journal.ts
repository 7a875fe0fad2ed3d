// The last status of each task, on disk: so that a restarted agent knows what has already been started or has ended, even where its container
// is gone or the engine does not answer. Written behind the events; what a crash loses is found again at the engine.
import { join } from 'node:path';
import { StatusBatch, type TaskStatus } from '../../proto/index.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { type Disk, groupWriter, systemDisk } from '../../lib/durable-file.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';

export interface Journal {
  /** As it was when this process began. */
  readonly recorded: ReadonlyMap<string, TaskStatus>;
  /** The statuses changed: they are written soon. */
  changed(): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

const FILE = 'tasks.bin';
const WINDOW_MS = 200;

export function openJournal(
  dataDir: string,
  statuses: () => readonly TaskStatus[],
  clock: Clock,
  log: Logger,
  disk: Disk = systemDisk,
): Journal {
  const path = join(dataDir, FILE);
  const writer = groupWriter(path, () => StatusBatch.encode({ statuses: statuses(), complete: true }), disk);
  let timer: Timer | undefined;
  const write = async (): Promise<void> => {
    timer = undefined;
    try {
      await writer.flush();
    } catch (error) {
      log.warn('cannot record the state of the tasks', { path, error: messageOf(error) });
    }
  };
  return {
    recorded: load(path, log, disk),
    changed() {
      timer ??= clock.after(WINDOW_MS, () => void write());
    },
    async close() {
      if (timer === undefined) return;
      timer.cancel();
      await write();
    },
  };
}

function load(path: string, log: Logger, disk: Disk): ReadonlyMap<string, TaskStatus> {
  const bytes = disk.read(path);
  if (bytes === undefined) return new Map();
  try {
    return new Map(StatusBatch.decode(bytes).statuses.map((status) => [status.taskId, status]));
  } catch (error) {
    log.warn('cannot read the recorded state of the tasks; the engine is asked alone', { path, error: messageOf(error) });
    return new Map();
  }
}
