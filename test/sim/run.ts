// `npm run sim -- --seeds N --from S`: runs that many seeds, on all cores, and says which ones failed and how to see one again.
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { availableParallelism } from 'node:os';
import { Coverage } from './scenario/coverage.ts';
import { runSeed, type SeedResult } from './scenario/seed.ts';

export interface SeedSummary extends Omit<SeedResult, 'coverage' | 'lines'> {
  readonly cells: readonly (readonly [string, number])[];
  readonly tail: readonly string[];
}

interface Work {
  readonly seeds: readonly number[];
}

const TAIL_LINES = 200;

function summaryOf(result: SeedResult): SeedSummary {
  const { coverage, lines, ...rest } = result;
  return { ...rest, cells: [...coverage.cells], tail: result.violation === undefined ? [] : lines };
}

/** Runs the seeds in worker threads; `onSeed` hears of each as it ends. */
export function runSeeds(
  seeds: readonly number[],
  onSeed: (summary: SeedSummary) => void,
  threads = availableParallelism(),
): Promise<void> {
  const shares = Array.from({ length: Math.min(threads, seeds.length) }, (_, share) =>
    seeds.filter((_seed, index) => index % threads === share),
  );
  return Promise.all(
    shares.map(
      (share) =>
        new Promise<void>((resolve, reject) => {
          const work: Work = { seeds: share };
          const worker = new Worker(new URL(import.meta.url), { workerData: work });
          worker.on('message', onSeed);
          worker.on('error', reject);
          worker.on('exit', () => {
            resolve();
          });
        }),
    ),
  ).then(() => undefined);
}

async function work({ seeds }: Work): Promise<void> {
  for (const seed of seeds) parentPort?.postMessage(summaryOf(await runSeed({ seed, keepLines: TAIL_LINES, verbose: false })));
}

async function main(args: readonly string[]): Promise<void> {
  const valueOf = (flag: string, otherwise: number): number => {
    const at = args.indexOf(flag);
    return at === -1 ? otherwise : Number(args[at + 1]);
  };
  const from = valueOf('--from', 1);
  const count = valueOf('--seeds', 1);
  if (args.includes('--trace')) {
    for (let seed = from; seed < from + count; seed++) {
      const result = await runSeed({ seed, keepLines: 1_000_000, verbose: args.includes('--verbose') });
      for (const line of result.lines) process.stdout.write(`${line}\n`);
      process.stdout.write(`seed ${seed}: ${result.violation ?? 'clean'} (${result.digest})\n`);
    }
    return;
  }
  const startedMs = performance.now();
  const coverage = new Coverage();
  const failed: number[] = [];
  let virtualMs = 0;
  let steps = 0;
  const seeds = Array.from({ length: count }, (_, index) => from + index);
  await runSeeds(
    seeds,
    (summary) => {
      coverage.merge(summary.cells);
      virtualMs += summary.virtualMs;
      steps += summary.steps;
      if (summary.violation === undefined) return;
      failed.push(summary.seed);
      if (failed.length === 1) process.stdout.write(`${summary.tail.join('\n')}\n`);
      process.stdout.write(`seed ${summary.seed} FAILED: ${summary.violation}\n  again: npm run sim -- --from ${summary.seed} --trace\n`);
    },
    valueOf('--threads', availableParallelism()),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  process.stdout.write(`\n${coverage.table()}\n\n`);
  process.stdout.write(
    `${count} seeds, ${failed.length} failed, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${steps} steps, ${seconds.toFixed(1)} s (${(seconds / count).toFixed(2)} s per seed)\n`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

if (isMainThread) {
  if (process.argv[1]?.endsWith('sim/run.ts') === true) await main(process.argv.slice(2));
} else {
  await work(workerData as Work);
}
