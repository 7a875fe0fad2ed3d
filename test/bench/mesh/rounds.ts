// Proxies measured side by side by wrk, in interleaved rounds. CPU is shared by all of them, so only the ratios mean anything; the processor time of the proxy
// per request is the measure that other programs disturb least.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HOST, type Way } from './ways.ts';

const run = promisify(execFile);

/** What is read of wrk's report. */
export interface Reading {
  readonly name: string;
  readonly unit: string;
  readonly higherIsBetter: boolean;
  readonly read: (wrk: string) => number;
}

export interface Measure {
  readonly path: string;
  readonly connections: number;
  /** Lines of Lua for wrk. */
  readonly script?: string;
  readonly readings: readonly Reading[];
}

export interface Rounds {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Only measures with a reading whose name has this in it. */
  readonly only: string;
  /** The way to which the others are compared. */
  readonly base: string;
  readonly folder: string;
}

interface Result {
  readonly values: readonly number[];
  /** Processor time of the proxy per request, in us. */
  readonly processorUs: number;
}

/** Several thousand connections. */
const WARM_UP_SECONDS = 5;
/** Of /proc/PID/stat: Linux counts in hundredths of a second everywhere. */
const TICK_US = 10_000;

const perSecond = (text: string): number => Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);

export const rateOf = (name: string, unit: string): Reading => ({ name, unit, higherIsBetter: true, read: perSecond });

export const megabytesOf = (name: string, bytes: number): Reading => ({
  name,
  unit: 'MB/s',
  higherIsBetter: true,
  read: (text) => (perSecond(text) * bytes) / 1e6,
});

const percentileOf = (name: string, percentile: string): Reading => ({
  name,
  unit: 'us',
  higherIsBetter: false,
  read: (text) => {
    const match = new RegExp(`^\\s+${percentile}\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(text);
    const scale: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };
    return Number(match?.[1]) * (scale[match?.[2] ?? ''] ?? NaN);
  },
});

/** Those that every kind of published port is measured by. */
export const COMMON_MEASURES: readonly Measure[] = [
  { path: '/', connections: 64, readings: [rateOf('keep-alive', 'req/s')] },
  { path: '/', connections: 64, script: 'wrk.headers["Connection"] = "close"', readings: [rateOf('new connections', 'conn/s')] },
  { path: '/', connections: 1, readings: [percentileOf('p50 at 1 connection', '50%'), percentileOf('p99 at 1 connection', '99%')] },
];

/** Measures all, and prints a table for each reading. */
export async function compare(ways: readonly Way[], measures: readonly Measure[], options: Rounds): Promise<void> {
  for (const what of measures.filter(({ readings }) => readings.some(({ name }) => name.includes(options.only)))) {
    const results = new Map<string, Result[]>(ways.map((way) => [way.name, []]));
    // Not counted: a new process compiles its code for a while, and those measured are to be what they are for the rest of their days.
    for (const way of ways) await measure(way, what, WARM_UP_SECONDS, options.folder);
    for (let round = 0; round < options.rounds; round++) {
      // Each round begins with another one: a drift of the machine falls on all alike.
      for (let index = 0; index < ways.length; index++) {
        const way = ways[(round + index) % ways.length];
        if (way !== undefined) results.get(way.name)?.push(await measure(way, what, options.seconds, options.folder));
      }
    }
    for (const [at, reading] of what.readings.entries()) report(reading, at, results, options.base);
  }
}

async function measure(way: Way, what: Measure, seconds: number, folder: string): Promise<Result> {
  const script = join(folder, 'wrk.lua');
  await writeFile(script, what.script ?? '');
  const before = await processorTime(way.pid);
  const args = ['-t', '1', '-c', String(what.connections), '-d', `${seconds}s`, '--latency', '-s', script];
  const { stdout } = await run('wrk', [...args, `http://${HOST}:${way.port}${what.path}`]);
  const errors = /.*(Non-2xx|Socket errors).*/.exec(stdout)?.[0];
  if (errors !== undefined) process.stderr.write(`${way.name}, ${what.readings[0]?.name ?? ''}: ${errors}\n`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return {
    values: what.readings.map(({ read }) => read(stdout)),
    processorUs: ((await processorTime(way.pid)) - before) / requests,
  };
}

/** Of the process, user and system, in us; NaN without one. */
async function processorTime(pid: number | undefined): Promise<number> {
  if (pid === undefined) return NaN;
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

function report(reading: Reading, at: number, results: ReadonlyMap<string, readonly Result[]>, base: string): void {
  const valuesOf = (name: string): readonly number[] => (results.get(name) ?? []).map(({ values }) => values[at] ?? NaN);
  const baseValue = median(valuesOf(base));
  process.stdout.write(`\n${reading.name} (${reading.unit}, ${reading.higherIsBetter ? 'more' : 'less'} is better)\n`);
  for (const [name, all] of results) {
    const values = valuesOf(name);
    const value = median(values);
    const processorUs = median(all.map((result) => result.processorUs));
    const spread = `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
    process.stdout.write(
      `  ${name.padEnd(12)} ${value.toFixed(0).padStart(8)}   x${(value / baseValue).toFixed(2)} of ${base}   (${spread})   ${processorUs.toFixed(1)} us of processor\n`,
    );
  }
}
