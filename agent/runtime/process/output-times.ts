// When a process wrote its output: beside each output file one of records "at this time it had this size", appended by the agent whenever it sees the
// file grown. So the process writes to its file itself, without anybody in between who could fail or be slow, and its lines have times all the same.
//
// The time is that of the file's last write, so what was written while no agent ran is dated late by the length of that gap at most.
import { appendFile, open, rename, stat } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';

/** Two numbers of a fixed width, so that records can be searched in the file: "<size> <unix ms>\n". */
const SIZE_WIDTH = 15;
const TIME_WIDTH = 14;
const RECORD_BYTES = SIZE_WIDTH + 1 + TIME_WIDTH + 1;
const RECORDS_PER_READ = 1024;

interface TimeRecord {
  readonly sizeBytes: number;
  readonly unixMs: number;
}

export function timesFile(path: string): string {
  return `${path}.times`;
}

/** Notes how large the file at `path` is, where it has grown since the last note. */
export async function noteTime(path: string): Promise<void> {
  const file = await statIfThere(path);
  if (file === undefined || file.size === 0) return;
  const times = timesFile(path);
  const [last] = await readRecords(times, (await recordCount(times)) - 1, 1);
  if (last !== undefined && last.sizeBytes >= file.size) return;
  // A clock that was set back must not put the records out of order.
  const unixMs = Math.max(Math.floor(file.mtimeMs), last?.unixMs ?? 0);
  await appendFile(times, `${String(file.size).padStart(SIZE_WIDTH)} ${String(unixMs).padStart(TIME_WIDTH)}\n`, { mode: 0o600 });
}

/** The records go with the output where that is put aside. */
export async function moveTimes(from: string, to: string): Promise<void> {
  try {
    await rename(timesFile(from), timesFile(to));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** How much of the file was written before `unixMs`, as far as the records say. */
export async function sizeBefore(path: string, unixMs: number): Promise<number> {
  const times = timesFile(path);
  const first = await firstRecord(times, (record) => record.unixMs >= unixMs);
  const [before] = await readRecords(times, first - 1, 1);
  return before?.sizeBytes ?? 0;
}

/** Answers when the line that ends at `endBytes` was written; to be asked in ascending order. */
export type LineTimes = (endBytes: number) => Promise<number>;

export function lineTimes(path: string): LineTimes {
  const times = timesFile(path);
  let next: number | undefined;
  let ahead: TimeRecord[] = [];
  return async (endBytes) => {
    next ??= await firstRecord(times, (record) => record.sizeBytes >= endBytes);
    for (;;) {
      const passed = ahead.findIndex((record) => record.sizeBytes >= endBytes);
      const found = ahead[passed];
      if (found !== undefined) {
        ahead = passed === 0 ? ahead : ahead.slice(passed);
        return found.unixMs;
      }
      ahead = await readRecords(times, next, RECORDS_PER_READ);
      next += ahead.length;
      // Not noted yet.
      if (ahead.length === 0) return Math.floor((await statIfThere(path))?.mtimeMs ?? 0);
    }
  };
}

/** The index of the first record that `isIt` holds for, as it does for all that follow; the number of records where there is none. */
async function firstRecord(times: string, isIt: (record: TimeRecord) => boolean): Promise<number> {
  let [low, high] = [0, await recordCount(times)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [record] = await readRecords(times, middle, 1);
    if (record === undefined || isIt(record)) high = middle;
    else low = middle + 1;
  }
  return low;
}

async function recordCount(times: string): Promise<number> {
  return Math.floor(((await statIfThere(times))?.size ?? 0) / RECORD_BYTES);
}

async function readRecords(times: string, index: number, count: number): Promise<TimeRecord[]> {
  if (index < 0) return [];
  try {
    const file = await open(times, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(count * RECORD_BYTES), 0, count * RECORD_BYTES, index * RECORD_BYTES);
      const whole = bytesRead - (bytesRead % RECORD_BYTES);
      const lines = whole === 0 ? [] : buffer.toString('latin1', 0, whole - 1).split('\n');
      return lines.map((line) => ({ sizeBytes: Number(line.slice(0, SIZE_WIDTH)), unixMs: Number(line.slice(SIZE_WIDTH)) }));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function statIfThere(path: string): Promise<{ readonly size: number; readonly mtimeMs: number } | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
