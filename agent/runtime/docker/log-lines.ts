// The engine's log stream, asked for with timestamps, read into lines with their time and source.
import { type Readable } from 'node:stream';
import { OutputSource } from '../../../proto/index.ts';
import { lineCutter, type LineCutter } from '../lines.ts';
import { type LogLine } from '../runtime.ts';
import { type Frame, frames } from './multiplex.ts';

/** One frame is one line, or a part of one that was longer than the engine's buffer (16 KiB); each begins with its time and a space. */
export async function* multiplexedLines(stream: Readable): AsyncGenerator<LogLine> {
  const cutters = { [OutputSource.STDOUT]: lineWithTime(OutputSource.STDOUT), [OutputSource.STDERR]: lineWithTime(OutputSource.STDERR) };
  for await (const frame of frames(stream)) yield* cutters[frame.source].push(frame);
  for (const cutter of Object.values(cutters)) yield* cutter.end();
}

/** With a tty there are no frames: every line begins with its time. */
export async function* ttyLines(stream: Readable): AsyncGenerator<LogLine> {
  const cutter = lineCutter();
  const read = (line: Buffer): LogLine => {
    const { timeUnixMs, rest } = splitTime(line);
    return { source: OutputSource.STDOUT, data: rest, timeUnixMs };
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) yield* cutter.push(chunk).map(read);
  const last = cutter.end();
  if (last !== undefined) yield read(last);
}

interface TimedCutter {
  push(frame: Frame): LogLine[];
  end(): LogLine[];
}

function lineWithTime(source: OutputSource): TimedCutter {
  const cutter: LineCutter = lineCutter();
  let lineTimeMs = 0;
  const line = (data: Buffer): LogLine => ({ source, data, timeUnixMs: lineTimeMs });
  return {
    push({ payload }) {
      const { timeUnixMs, rest } = splitTime(payload);
      // The time of a line is that of its first part.
      if (!cutter.pending) lineTimeMs = timeUnixMs;
      return cutter.push(rest).map(line);
    },
    end() {
      const last = cutter.end();
      return last === undefined ? [] : [line(last)];
    },
  };
}

/** The longest: "2026-01-01T00:00:00.000000000+00:00". */
const MAX_TIME_BYTES = 40;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** 0 and the whole where there is no time. */
export function splitTime(bytes: Buffer): { readonly timeUnixMs: number; readonly rest: Buffer } {
  const space = bytes.subarray(0, MAX_TIME_BYTES).indexOf(0x20);
  const text = space < 0 ? '' : bytes.toString('latin1', 0, space);
  if (!TIME.test(text)) return { timeUnixMs: 0, rest: bytes };
  return { timeUnixMs: Date.parse(text), rest: bytes.subarray(space + 1) };
}
