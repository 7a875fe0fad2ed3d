// A disk below the embedded store that does what it is told: is full, fails to sync, or holds syncs back.
import { type AppendFile, type Disk, realDisk } from '../../manager/store/embedded/disk.ts';

export interface FailingDisk extends Disk {
  /** The next appends write this many bytes altogether, then fail with ENOSPC; undefined: there is space. */
  freeBytes: number | undefined;
  /** Syncs of files fail with EIO. */
  syncFails: boolean;
  /** Cutting files off fails with EIO. */
  truncateFails: boolean;
  /** Syncs of files wait until this resolves. */
  syncGate: Promise<void> | undefined;
  /** Files synced since the start. */
  readonly syncs: number;
}

export function failingDisk(): FailingDisk {
  let syncs = 0;
  const disk: FailingDisk = {
    ...realDisk,
    freeBytes: undefined,
    syncFails: false,
    truncateFails: false,
    syncGate: undefined,
    get syncs() {
      return syncs;
    },
    create: async (path) => wrap(await realDisk.create(path)),
    openAppend: async (path) => wrap(await realDisk.openAppend(path)),
  };
  const wrap = (file: AppendFile): AppendFile => ({
    async append(bytes) {
      const { freeBytes } = disk;
      if (freeBytes === undefined) return file.append(bytes);
      disk.freeBytes = Math.max(0, freeBytes - bytes.length);
      await file.append(bytes.subarray(0, freeBytes));
      if (freeBytes < bytes.length) throw errno('ENOSPC', 'no space left on device');
    },
    async sync() {
      await disk.syncGate;
      if (disk.syncFails) throw errno('EIO', 'input/output error');
      syncs += 1;
      await file.sync();
    },
    async truncate(length) {
      if (disk.truncateFails) throw errno('EIO', 'input/output error');
      await file.truncate(length);
    },
    close: () => file.close(),
  });
  return disk;
}

function errno(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
