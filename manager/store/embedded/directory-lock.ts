// One process per directory. Node has no file locks that end with their process, so the lock is a numbered file that names its
// holder: the highest number counts. To take it over from a holder that is gone is to create the next number, which only
// one process can; and because the highest is never removed, a slow contender cannot win with a number that is over.
import { link, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, ShoalError } from '../../../lib/errors.ts';
import { isRunning, ownIdentity, type ProcessIdentity } from './process-identity.ts';

export interface DirectoryLock {
  release(): Promise<void>;
}

interface Holder extends ProcessIdentity {
  readonly released: boolean;
}

const NAME = /^lock\.(\d+)$/;
const FILE_MODE = 0o600;
/** Distinguishes the temporary files of locks taken by one process. */
let counter = 0;

/** Throws `failed_precondition` when a living process (this one included) holds it. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const own = await ownIdentity();
  for (;;) {
    const held = await highest(directory);
    if (held > 0) await refuseIfHeld(directory, held);
    const number = held + 1;
    if (!(await claim(directory, number, { ...own, released: false }))) continue;
    // Somebody may have gone past while this process stood still.
    if ((await highest(directory)) === number) {
      await removeBelow(directory, number);
      return { release: () => replace(directory, number, { ...own, released: true }) };
    }
    await unlink(lockPath(directory, number)).catch(() => undefined);
  }
}

async function refuseIfHeld(directory: string, number: number): Promise<void> {
  const path = lockPath(directory, number);
  const holder = await readHolder(path);
  if (holder === undefined || holder.released || !(await isRunning(holder))) return;
  throw new ShoalError(
    'failed_precondition',
    `the store in ${directory} is in use by process ${holder.pid}: only one manager may have it open. Stop that one, or give this one another --data-dir`,
  );
}

/** Undefined: the file is gone, or not a lock that was written whole. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isHolder(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isHolder(value: unknown): value is Holder {
  return typeof value === 'object' && value !== null && 'pid' in value && typeof value.pid === 'number' && 'start' in value;
}

/** Under its name the file is whole from the start; false when the number is taken. */
async function claim(directory: string, number: number, holder: Holder): Promise<boolean> {
  const temporary = await writeTemporary(directory, holder);
  try {
    await link(temporary, lockPath(directory, number));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
}

async function replace(directory: string, number: number, holder: Holder): Promise<void> {
  await rename(await writeTemporary(directory, holder), lockPath(directory, number));
}

async function writeTemporary(directory: string, holder: Holder): Promise<string> {
  counter += 1;
  const path = join(directory, `lock-${process.pid}-${counter}.new`);
  await writeFile(path, JSON.stringify(holder), { mode: FILE_MODE });
  return path;
}

async function highest(directory: string): Promise<number> {
  return Math.max(0, ...(await numbers(directory)));
}

async function removeBelow(directory: string, number: number): Promise<void> {
  for (const old of await numbers(directory)) {
    if (old < number) await unlink(lockPath(directory, old)).catch(() => undefined);
  }
}

async function numbers(directory: string): Promise<number[]> {
  return (await readdir(directory)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
}

function lockPath(directory: string, number: number): string {
  return join(directory, `lock.${number}`);
}
