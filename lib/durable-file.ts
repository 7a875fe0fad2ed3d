// Small files that must be whole after a crash: written beside, synced, renamed over.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './errors.ts';

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

export interface GroupWriter {
  /** Resolves when a write that began after this call is on disk; rejects when that one fails. Calls made meanwhile share the next write. */
  flush(): Promise<void>;
}

/** Group commit of one file: `content` is asked when a write begins, so each write holds all that was changed before it. */
export function groupWriter(path: string, content: () => Uint8Array | string): GroupWriter {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const write = (): Promise<void> => {
    const begun = writeDurably(path, content());
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
