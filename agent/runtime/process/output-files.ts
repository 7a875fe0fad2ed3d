// A process's output: one file per stream, appended by the process itself, so that it needs no agent to write.
//
// Bounds: of a file above 10 MiB the last 10 MiB are copied to `<name>.1` (replacing the one before), and it is emptied; so a stream keeps its last 10
// to 20 MiB, however fast it is written. What is written between the copy and the emptying is lost, and its two ends are read as one line. The agent does this while it waits for the task,
// and now and then for those that have ended; without an agent the files grow.
// When lines were written stands in files beside them (output-times.ts). `tail` counts each stream by itself.
import { open, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../../lib/errors.ts';
import { type LogsRequest, OutputSource } from '../../../proto/index.ts';
import { lineCutter } from '../lines.ts';
import { type LogLine } from '../runtime.ts';
import { lineTimes, moveTimes, noteTime, sizeBefore, timesFile } from './output-times.ts';

const MAX_FILE_BYTES = 10 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

const NAMES = [
  { source: OutputSource.STDOUT, name: 'stdout' },
  { source: OutputSource.STDERR, name: 'stderr' },
] as const;

/** Notes when the files of a task have grown, and brings them back within their bounds. */
export async function keepOutput(folder: string, maxBytes = MAX_FILE_BYTES): Promise<void> {
  for (const { name } of NAMES) {
    const path = join(folder, name);
    await noteTime(path);
    if ((await sizeOf(path)) <= maxBytes && (await sizeOf(timesFile(path))) <= maxBytes) continue;
    await copyEnd(path, `${path}.1`);
    await moveTimes(path, `${path}.1`);
    await truncate(path, 0);
  }
}

/** What is kept stands in the copy where it stood; before it is a hole, which takes no room. */
async function copyEnd(from: string, to: string): Promise<void> {
  const end = await sizeOf(from);
  const copy = await open(to, 'w', 0o600);
  try {
    for (let at = Math.max(0, end - MAX_FILE_BYTES); at < end;) {
      const block = await readBlock(from, at);
      if (block.length === 0) return;
      await copy.write(block, 0, Math.min(block.length, end - at), at);
      at += block.length;
    }
  } finally {
    await copy.close();
  }
}

/** The first whole line of a copy, after the hole. */
async function copyStart(path: string): Promise<number> {
  const hole = (await sizeOf(path)) - MAX_FILE_BYTES;
  return hole <= 0 ? 0 : hole + (await readBlock(path, hole)).indexOf(NEWLINE) + 1;
}

/**
 * The lines asked for. While `following()` answers true it goes on with new ones, calling `pause` where there is nothing new.
 * Reads no faster than the lines are taken.
 */
export async function* outputLines(
  folder: string,
  request: LogsRequest,
  following: () => Promise<boolean>,
  pause: () => Promise<void>,
): AsyncGenerator<LogLine> {
  const both = request.stdout === request.stderr;
  const wanted = NAMES.filter(({ source }) => both || (source === OutputSource.STDOUT ? request.stdout : request.stderr));
  const readers = await Promise.all(wanted.map(({ source, name }) => openReader(join(folder, name), source, request)));
  for (;;) {
    // Asked before reading: what was written before the end is read after it.
    const goesOn = request.follow && (await following());
    let news = false;
    for (const reader of readers) {
      for await (const line of reader.more()) {
        news = true;
        yield line;
      }
    }
    if (!goesOn) break;
    if (!news) await pause();
  }
  for (const reader of readers) yield* await reader.end();
}

interface Reader {
  more(): AsyncGenerator<LogLine>;
  end(): Promise<LogLine[]>;
}

async function openReader(path: string, source: OutputSource, request: LogsRequest): Promise<Reader> {
  const earlier = `${path}.1`;
  const cutter = lineCutter();
  let { inEarlier, at } = await startOf(path, request);
  let timeOf = lineTimes(inEarlier ? earlier : path);
  /** Lines cut so far end here; a line in pieces has a newline too many in each but the last, which moves its time by nothing that counts. */
  let endBytes = at;
  const line = async (data: Buffer): Promise<LogLine> => {
    endBytes = Math.min(endBytes + data.length, at);
    return { source, data, timeUnixMs: await timeOf(endBytes) };
  };
  async function* read(file: string): AsyncGenerator<LogLine> {
    for (;;) {
      const block = await readBlock(file, at);
      if (block.length === 0) return;
      at += block.length;
      for (const data of cutter.push(block)) yield await line(data);
    }
  }
  return {
    async *more() {
      // Emptied since: what was not read yet stands in the copy, at the same place.
      if (!inEarlier && (await sizeOf(path)) < at) {
        inEarlier = true;
        timeOf = lineTimes(earlier);
      }
      if (inEarlier) {
        const first = await copyStart(earlier);
        if (first > at) at = endBytes = first;
        yield* read(earlier);
        inEarlier = false;
        at = 0;
        endBytes = 0;
        timeOf = lineTimes(path);
      }
      yield* read(path);
    },
    async end() {
      const last = cutter.end();
      return last === undefined ? [] : [await line(last)];
    },
  };
}

interface Start {
  readonly inEarlier: boolean;
  readonly at: number;
}

/** Where to begin so that `tail` lines of this stream follow, none of them older than `since`. */
async function startOf(path: string, request: LogsRequest): Promise<Start> {
  const [tail, since] = [await tailOf(path, request), await sinceOf(path, request.sinceUnixMs)];
  if (tail.inEarlier !== since.inEarlier) return tail.inEarlier ? since : tail;
  return tail.at > since.at ? tail : since;
}

async function sinceOf(path: string, sinceUnixMs: number): Promise<Start> {
  if (sinceUnixMs <= 0) return { inEarlier: true, at: 0 };
  if ((await writtenAt(path)) < sinceUnixMs) return { inEarlier: false, at: await sizeOf(path) };
  const here = await sizeBefore(path, sinceUnixMs);
  if (here > 0) return { inEarlier: false, at: await lineStart(path, here) };
  const earlier = `${path}.1`;
  return { inEarlier: true, at: await lineStart(earlier, await sizeBefore(earlier, sinceUnixMs), await copyStart(earlier)) };
}

/** Of the line that `position` lies in; a line that was not complete then was written later. */
async function lineStart(path: string, position: number, floor = 0): Promise<number> {
  for (let end = position; end > floor;) {
    const start = Math.max(floor, end - BLOCK_BYTES);
    const newline = (await readBlock(path, start)).subarray(0, end - start).lastIndexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return floor;
}

async function tailOf(path: string, request: LogsRequest): Promise<Start> {
  const size = await sizeOf(path);
  if (request.tail === 0) return { inEarlier: false, at: size };
  if (request.tail < 0) return { inEarlier: true, at: 0 };
  const here = await tailStart(path, size, request.tail);
  if (here.missing === 0) return { inEarlier: false, at: here.at };
  const earlier = `${path}.1`;
  const before = await tailStart(earlier, await sizeOf(earlier), here.missing, await copyStart(earlier));
  return { inEarlier: true, at: before.at };
}

/** The offset after which the last `lines` lines stand, not before `floor`; `missing` where the file has fewer. */
async function tailStart(path: string, size: number, lines: number, floor = 0): Promise<{ readonly at: number; readonly missing: number }> {
  let found = 0;
  for (let end = size; end > floor;) {
    const start = Math.max(floor, end - BLOCK_BYTES);
    const block = (await readBlock(path, start)).subarray(0, end - start);
    for (let index = block.length - 1; index >= 0; index--) {
      // The newline at the very end closes the last line, it does not begin one.
      if (block[index] !== NEWLINE || start + index === size - 1) continue;
      found++;
      if (found === lines) return { at: start + index + 1, missing: 0 };
    }
    end = start;
  }
  return { at: floor, missing: lines - found - (size > 0 ? 1 : 0) };
}

async function readBlock(path: string, position: number): Promise<Buffer> {
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, position);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await statIfThere(path))?.size ?? 0;
}

async function writtenAt(path: string): Promise<number> {
  return (await statIfThere(path))?.mtimeMs ?? 0;
}

async function statIfThere(path: string): Promise<{ readonly size: number; readonly mtimeMs: number } | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
