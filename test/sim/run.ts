// `npm run sim -- --seeds N --from S`: runs that many seeds, on all cores, and says which ones failed and how to see one again.
import { fork } from 'node:child_process';
import { register } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Coverage } from './scenario/coverage.ts';
import { breakProduct, type Variant } from './broken/variant.ts';
import { VARIANTS } from './broken/variants.ts';
import type { SeedResult } from './scenario/seed.ts';

export interface SeedSummary extends Omit<SeedResult, 'coverage' | 'lines'> {
  readonly cells: readonly (readonly [string, number])[];
  readonly tail: readonly string[];
  /** Of its process since the seed before: the first seed bears the start. */
  readonly cpuMs: number;
}

/** Shown of a seed that failed. */
const TAIL_LINES = 200;

function summaryOf(result: SeedResult, cpuMs: number): SeedSummary {
  const { coverage, lines, ...rest } = result;
  return { ...rest, cells: [...coverage.cells], tail: result.violation === undefined ? [] : lines, cpuMs };
}

function cpuMsOfProcess(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export interface RunOptions {
  readonly processes?: number;
  /** Of a broken variant; the product as it is unless given. */
  readonly broken?: string | undefined;
}

/** Runs the seeds in several processes; `onSeed` hears of each as it ends, and answers whether to go on. Rejects when a process breaks down. */
export async function runSeeds(
  seeds: readonly number[],
  onSeed: (summary: SeedSummary) => boolean,
  { processes = availableParallelism(), broken }: RunOptions = {},
): Promise<void> {
  const left = [...seeds];
  const serve = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(import.meta.url), ['--child', ...(broken === undefined ? [] : ['--broken', broken])], {
        execArgv: ['--import', 'tsx'],
      });
      const next = (): void => {
        const seed = left.shift();
        if (seed === undefined) child.disconnect();
        else child.send(seed);
      };
      child.on('message', (summary) => {
        if (!onSeed(summary as SeedSummary)) left.length = 0;
        next();
      });
      child.on('error', reject);
      child.on('exit', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`a process of the simulator ended with code ${code}`));
      });
      next();
    });
  await Promise.all(Array.from({ length: Math.min(processes, seeds.length) }, serve));
}

/** The product is loaded only now: as it is, or broken. Its errors carry stacks only for people: there are many, and each is costly. */
async function load(broken: string | undefined, stacks: boolean): Promise<typeof import('./scenario/seed.ts')> {
  register('./core/plain-names.mjs', import.meta.url);
  if (!stacks) Error.stackTraceLimit = 0;
  const variant: Variant | undefined = VARIANTS.find(({ name }) => name === broken);
  if (variant !== undefined) breakProduct(variant);
  else if (broken !== undefined) throw new Error(`no variant ${broken}; there are: ${VARIANTS.map(({ name }) => name).join(', ')}`);
  return import('./scenario/seed.ts');
}

async function serveParent(broken: string | undefined): Promise<void> {
  // What comes while the product is loaded is not lost.
  const loading = load(broken, false);
  let spentMs = 0;
  process.on('message', (seed: number) => {
    void loading
      .then(({ runSeed }) => runSeed({ seed, keepLines: TAIL_LINES, verbose: false }))
      .then((result) => {
        const beforeMs = spentMs;
        spentMs = cpuMsOfProcess();
        process.send?.(summaryOf(result, spentMs - beforeMs));
      });
  });
  await loading;
}

async function main(args: readonly string[]): Promise<void> {
  const valueOf = (flag: string, otherwise: number): number => {
    const at = args.indexOf(flag);
    return at === -1 ? otherwise : Number(args[at + 1]);
  };
  const broken = args.includes('--broken') ? args[args.indexOf('--broken') + 1] : undefined;
  const from = valueOf('--from', 1);
  const count = valueOf('--seeds', 1);
  if (args.includes('--trace')) {
    const verbose = args.includes('--verbose');
    const { runSeed } = await load(broken, verbose);
    for (let seed = from; seed < from + count; seed++) {
      const result = await runSeed({ seed, keepLines: 1_000_000, verbose });
      for (const line of result.lines) process.stdout.write(`${line}\n`);
      process.stdout.write(`seed ${seed}: ${result.violation ?? 'clean'} (${result.digest})\n`);
    }
    return;
  }
  const startedMs = performance.now();
  const coverage = new Coverage();
  const failed: number[] = [];
  let virtualMs = 0;
  let cpuMs = 0;
  let steps = 0;
  let ended = 0;
  const seeds = Array.from({ length: count }, (_, index) => from + index);
  await runSeeds(
    seeds,
    (summary) => {
      coverage.merge(summary.cells);
      virtualMs += summary.virtualMs;
      cpuMs += summary.cpuMs;
      ended++;
      steps += summary.steps;
      if (summary.violation === undefined) return true;
      failed.push(summary.seed);
      if (failed.length === 1 && broken === undefined) process.stdout.write(`${summary.tail.join('\n')}\n`);
      process.stdout.write(
        `seed ${summary.seed} FAILED: ${summary.violation}\n  again: npm run sim -- --from ${summary.seed} --trace${broken === undefined ? '' : ` --broken ${broken}`}\n`,
      );
      return broken === undefined;
    },
    { processes: valueOf('--processes', availableParallelism()), broken },
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const zeros = coverage.zeros();
  process.stdout.write(`\n${coverage.table()}\n\n`);
  process.stdout.write(zeros.length === 0 ? 'no cell is zero\n' : `${zeros.length} cells are zero: ${zeros.join(', ')}\n`);
  process.stdout.write(
    `${count} seeds, ${failed.length} failed, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${steps} steps, ${seconds.toFixed(1)} s, ${(cpuMs / 1000 / ended).toFixed(3)} CPU s per seed\n`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

if (process.argv[2] === '--child') await serveParent(process.argv[4]);
else if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
