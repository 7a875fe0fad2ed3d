// Seeds run in processes of their own, one after another in each: the product is loaded there, as it is or broken.
import { fork } from 'node:child_process';
import { register } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
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
export async function load(broken: string | undefined, stacks: boolean): Promise<typeof import('./scenario/seed.ts')> {
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

if (process.argv[2] === '--child') await serveParent(process.argv[4]);
