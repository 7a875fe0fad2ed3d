// One process per folder: a lock file that names its holder; a holder that is gone (crash, reboot) does not block.
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from './durable-file.ts';
import { errnoOf, ShoalError } from './errors.ts';
import { bootId, isAlive, processId } from './process-id.ts';

interface Holder {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
}

const ATTEMPTS = 5;

/**
 * Takes the folder, making it where it is missing; returns what gives it back. Throws `failed_precondition` naming the holder while `who`
 * (as in "an agent") runs there already.
 */
export function lockFolder(folder: string, who: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'lock');
  const mine = `${path}.${String(process.pid)}`;
  const me: Holder = { ...processId(process.pid), bootId: bootId() };
  writeFileSync(mine, JSON.stringify(me));
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        // A link appears whole or not at all, and only where there is none.
        linkSync(mine, path);
        return () => {
          if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
        };
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      const holder = readHolder(path);
      if (holder !== undefined && holder.bootId === me.bootId && isAlive(holder)) throw taken(folder, who, holder);
      setAside(path, `${mine}.stale`, holder);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  throw new ShoalError('failed_precondition', `cannot lock ${folder}: other processes keep taking and leaving it; try again`);
}

function taken(folder: string, who: string, holder: Holder): ShoalError {
  return new ShoalError(
    'failed_precondition',
    `${who} (pid ${String(holder.pid)}) already runs on ${folder}; stop it, or choose another folder with --data-dir`,
  );
}

/** Removes a lock left over by `holder`; if another process took it in the meantime, it gets its lock back. */
function setAside(path: string, aside: string, holder: Holder | undefined): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  const moved = readHolder(aside);
  if (moved !== undefined && (moved.pid !== holder?.pid || moved.startTime !== holder.startTime) && isAlive(moved)) renameSync(aside, path);
  else rmSync(aside, { force: true });
}

function readHolder(path: string): Holder | undefined {
  try {
    const parsed = JSON.parse(readIfThere(path)?.toString() ?? '') as Partial<Holder>;
    return typeof parsed.pid === 'number' ? { pid: parsed.pid, startTime: parsed.startTime ?? '', bootId: parsed.bootId ?? '' } : undefined;
  } catch {
    return undefined;
  }
}
