// Small files that must be whole after a crash: written beside, synced, renamed over.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, sleep } from './clock.ts';
import { errnoOf } from './errors.ts';

/** Where a role keeps its small files: the host's disk, or a simulated one. Paths are whole. */
export interface Disk {
  /** As writeDurably. */
  write(path: string, bytes: Uint8Array | string): Promise<void>;
  /** As writeDurablySync. */
  writeSync(path: string, bytes: Uint8Array | string): void;
  /** As readIfThere. */
  read(path: string): Buffer | undefined;
  rename(from: string, to: string): void;
}

/** Resolves when `bytes` are on disk under `path`; a crash leaves the old content or the new, never a part. One writer per path at a time. */
export async function writeDurably(path: string, bytes: Uint8Array | string): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** As writeDurably, before it returns: for what is written once in the life of a process. Makes the folder where it is missing. */
export function writeDurablySync(path: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', 0o600);
  try {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    for (let written = 0; written < buffer.length;) written += writeSync(file, buffer, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The file's content, or undefined where there is none. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export const systemDisk: Disk = { write: writeDurably, writeSync: writeDurablySync, read: readIfThere, rename: renameSync };

/** The same disk, and `settled`: resolves when no write is under way any more, at the latest after `deadlineMs`; false then. */
export function watchedDisk(disk: Disk): Disk & { settled(clock: Clock, deadlineMs: number): Promise<boolean> } {
  const underWay = new Set<Promise<unknown>>();
  const allOver = async (): Promise<true> => {
    // One write may have waited for another.
    while (underWay.size > 0) await Promise.allSettled(underWay);
    return true;
  };
  return {
    ...disk,
    write(path, bytes) {
      const written = disk.write(path, bytes);
      const over = written
        .catch(() => undefined)
        .finally(() => {
          underWay.delete(over);
        });
      underWay.add(over);
      return written;
    },
    async settled(clock, deadlineMs) {
      if (underWay.size === 0) return true;
      const cut = new AbortController();
      const tooLate = sleep(clock, deadlineMs, cut.signal).then(
        () => false,
        () => false,
      );
      const over = await Promise.race([allOver(), tooLate]);
      cut.abort();
      return over;
    },
  };
}

export interface GroupWriter {
  /** Resolves when a write that began after this call is on disk; rejects when that one fails. Calls made meanwhile share the next write. */
  flush(): Promise<void>;
}

/** Group commit of one file: `content` is asked when a write begins, so each write holds all that was changed before it. */
export function groupWriter(path: string, content: () => Uint8Array | string, disk: Disk = systemDisk): GroupWriter {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const write = (): Promise<void> => {
    const begun = disk.write(path, content());
    const settled = begun
      .catch(() => undefined)
      .then(() => {
        if (running === settled) running = undefined;
      });
    running = settled;
    return begun;
  };
  return {
    flush() {
      if (next !== undefined) return next;
      if (running === undefined) return write();
      next = running.then(() => {
        next = undefined;
        return write();
      });
      return next;
    },
  };
}
