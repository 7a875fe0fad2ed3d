// `npm run sim -- --seeds N --from S`: runs that many seeds, on all cores, and says which ones failed and how to see one again.
import { availableParallelism } from 'node:os';
import { noticeAll } from './broken/notice.ts';
import { VARIANTS } from './broken/variants.ts';
import { load, runSeeds } from './pool.ts';
import { Coverage } from './scenario/coverage.ts';

/** A cell that was met less often than once in so many seeds is named. */
const RARE_SEEDS = 1000;

/** A row of a table for each variant: the first seed that notices it, and what it says. */
async function showVariants(seeds: readonly number[], processes: number): Promise<void> {
  process.stdout.write('| variant | what is broken | seed | noticed as |\n|---|---|---|---|\n');
  await noticeAll(
    VARIANTS,
    () => seeds,
    ({ name, what }, noticed) => {
      if (noticed === undefined) process.exitCode = 1;
      const how = noticed?.violation?.slice(0, noticed.violation.indexOf(':')) ?? 'NOT NOTICED';
      process.stdout.write(`| ${name} | ${what} | ${noticed?.seed ?? ''} | ${how} |\n`);
    },
    processes,
  );
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
  if (broken === 'all') {
    await showVariants(
      Array.from({ length: count }, (_, index) => from + index),
      valueOf('--processes', availableParallelism()),
    );
    return;
  }
  const startedMs = performance.now();
  const coverage = new Coverage();
  const failed: number[] = [];
  let virtualMs = 0;
  let cpuMs = 0;
  let ended = 0;
  let steps = 0;
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
  const rare = coverage.rare(Math.max(2, Math.floor(count / RARE_SEEDS)));
  if (rare.length > 0) process.stdout.write(`seldom: ${rare.join(', ')}\n`);
  process.stdout.write(
    `${count} seeds, ${failed.length} failed, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours, ${steps} steps, ${seconds.toFixed(1)} s, ${(cpuMs / 1000 / ended).toFixed(3)} CPU s per seed\n`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

await main(process.argv.slice(2));
