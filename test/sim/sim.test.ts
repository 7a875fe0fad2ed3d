// A few hundred simulated clusters, each with its own faults and users: all invariants hold in all of them. `SHOAL_SIM_SEEDS` runs more or fewer, `SHOAL_SIM_FROM`
// others; a seed that fails is shown by `npm run sim -- --from SEED --trace`.
import assert from 'node:assert/strict';
import { runSeeds, type SeedSummary } from './pool.ts';

const SEEDS = Number(process.env['SHOAL_SIM_SEEDS'] ?? 300);
const FROM = Number(process.env['SHOAL_SIM_FROM'] ?? 1);
const LEAST_COMMANDS = 20;
const LEAST_FAULTS = 5;
const REPLAYED = 5;

async function run(seeds: readonly number[], processes?: number): Promise<SeedSummary[]> {
  const summaries: SeedSummary[] = [];
  const take = (summary: SeedSummary): boolean => summaries.push(summary) > 0;
  await runSeeds(seeds, take, processes === undefined ? {} : { processes });
  return summaries;
}

describe('the simulated cluster', () => {
  it(`keeps all invariants over ${SEEDS} seeds`, async () => {
    const summaries = await run(Array.from({ length: SEEDS }, (_, index) => FROM + index));
    const failed = summaries.filter(({ violation }) => violation !== undefined).sort((a, b) => a.seed - b.seed);
    const [first] = failed;
    const seeds = failed.map(({ seed, violation }) => `seed ${seed}: ${violation ?? ''}`).join('\n');
    const again = `npm run sim -- --from ${first?.seed ?? 0} --trace`;
    assert.equal(failed.length, 0, `${first?.tail.join('\n') ?? ''}\n${seeds}\nagain: ${again}`);
    assert.equal(summaries.length, SEEDS);
    for (const { commands, faults, seed } of summaries) {
      assert.ok(commands >= LEAST_COMMANDS && faults >= LEAST_FAULTS, `seed ${seed} had ${commands} commands and ${faults} faults`);
    }
  });

  it(`does the same, byte for byte, with the same seed: ${REPLAYED} of them, in processes of their own and in another order`, async () => {
    const seeds = Array.from({ length: REPLAYED }, (_, index) => FROM + index);
    const [once, again] = await Promise.all([run(seeds, 1), run([...seeds].reverse(), 1)]);
    assert.equal(once.length, REPLAYED);
    for (const { seed, steps, digest } of once) {
      assert.ok(steps > 1000);
      assert.equal(again.find((summary) => summary.seed === seed)?.digest, digest, `seed ${seed}`);
    }
    assert.equal(new Set(once.map(({ digest }) => digest)).size, REPLAYED);
  });
});
