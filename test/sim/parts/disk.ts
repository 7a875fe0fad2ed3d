// The disk of one simulated host: small files that are replaced as a whole. What was being written when its process died is there or not, by chance.
import type { Disk } from '../../../lib/durable-file.ts';
import type { Rng } from '../../../lib/rng.ts';
import { never, type SimProcess } from '../core/process.ts';
import { chance, delayMs } from '../core/random.ts';
import type { Scheduler } from '../core/scheduler.ts';

export interface SimDisk {
  /** As one process of the host sees it. */
  of(process: SimProcess): Disk;
  /** Multiplies every delay. */
  slowness: number;
  /** Writes fail. */
  full: boolean;
}

export interface SimDiskOptions {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  /** After each file that has become durable. */
  readonly onWritten: (path: string, bytes: Buffer) => void;
}

const TYPICAL_MS = 2;
const LONG_MS = 60;

export function simDisk({ scheduler, rng, onWritten }: SimDiskOptions): SimDisk {
  const files = new Map<string, Buffer>();
  const put = (path: string, bytes: Uint8Array | string): void => {
    const copy = Buffer.from(bytes as Uint8Array);
    files.set(path, copy);
    onWritten(path, copy);
  };
  const disk: SimDisk = {
    slowness: 1,
    full: false,
    of: (process) => ({
      write(path, bytes) {
        const name = path.slice(path.lastIndexOf('/') + 1);
        process.point('disk', `write ${name}`);
        if (!process.alive) return never();
        const copy = Buffer.from(bytes as Uint8Array);
        return new Promise((resolve, reject) => {
          let open = true;
          const close = process.onDeath(() => {
            if (open && chance(rng, 0.5)) put(path, copy);
            open = false;
          });
          scheduler.after(process, delayMs(rng, TYPICAL_MS, LONG_MS) * disk.slowness, () => {
            close();
            if (disk.full) {
              open = false;
              reject(Object.assign(new Error(`ENOSPC: no space left on device, write '${name}'`), { code: 'ENOSPC' }));
              return;
            }
            put(path, copy);
            open = false;
            process.point('disk', `written ${name}`);
            if (process.alive) resolve();
          });
        });
      },
      writeSync(path, bytes) {
        const name = path.slice(path.lastIndexOf('/') + 1);
        process.point('disk', `write ${name}`);
        if (!process.alive) return;
        put(path, bytes);
        process.point('disk', `written ${name}`);
      },
      read(path) {
        process.point('disk', 'read');
        const bytes = files.get(path);
        return bytes === undefined ? undefined : Buffer.from(bytes);
      },
      rename(from, to) {
        const bytes = files.get(from);
        if (bytes === undefined) return;
        files.delete(from);
        files.set(to, bytes);
      },
    }),
  };
  return disk;
}
