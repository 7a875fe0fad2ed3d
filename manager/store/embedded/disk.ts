// The few file operations that the embedded store does, so that tests can put a failing disk below it.
import { type FileHandle, open, readdir, readFile, rename, unlink } from 'node:fs/promises';

/** An open file that is only appended to. */
export interface AppendFile {
  /** All of it or an error; after an error the file may hold a part. */
  append(bytes: Uint8Array): Promise<void>;
  /** What was appended is on the medium. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Names in the directory. */
  list(directory: string): Promise<string[]>;
  read(path: string): Promise<Buffer>;
  /** Empty: one that exists is emptied. */
  create(path: string): Promise<AppendFile>;
  openAppend(path: string): Promise<AppendFile>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Names made or changed in the directory are on the medium. */
  syncDirectory(directory: string): Promise<void>;
}

/** The store holds secrets. */
const FILE_MODE = 0o600;

export const realDisk: Disk = {
  list: (directory) => readdir(directory),
  read: (path) => readFile(path),
  create: async (path) => appendFile(await open(path, 'w', FILE_MODE)),
  openAppend: async (path) => appendFile(await open(path, 'a', FILE_MODE)),
  rename,
  remove: unlink,
  async syncDirectory(directory) {
    // Windows cannot open a directory; there a rename is durable by itself.
    if (process.platform === 'win32') return;
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

function appendFile(handle: FileHandle): AppendFile {
  return {
    append: (bytes) => handle.appendFile(bytes),
    sync: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    close: () => handle.close(),
  };
}
