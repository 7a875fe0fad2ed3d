import assert from 'node:assert/strict';
import { type Housekeeper, housekeeper } from '../../../agent/housekeeping/housekeeper.ts';
import type { CleanUp } from '../../../agent/runtime/runtime.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { type Logger, silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { passTime } from '../../support/virtual-time.ts';

const NOTHING: CleanUp = { removed: [], freedBytes: 0, unusedBytes: 7 };
const MINUTES = 60_000;

describe('housekeeper', () => {
  let keeper: Housekeeper | undefined;
  afterEach(() => {
    keeper?.stop();
  });

  const begin = (cleanUp: () => Promise<CleanUp>, intervalMs = 5 * MINUTES) => {
    const clock = manualClock();
    const lines: string[] = [];
    const write = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
      lines.push(`${message} ${JSON.stringify(fields)}`);
    };
    const log: Logger = { ...silentLogger, info: write, warn: write };
    const atMs: number[] = [];
    let containers = 0;
    const worker = {
      tidy: () => {
        atMs.push(clock.nowMs());
        return Promise.resolve();
      },
      reclaimed: () => containers,
    };
    const settings = { intervalMs, finished: { perSlot: 5, perNode: 100 }, images: { bytes: 1, ageMs: 2 } };
    const started = housekeeper({ settings, runtime: { cleanUp }, worker, clock, rng: seededRng(4), log });
    keeper = started;
    started.start();
    return { clock, lines, atMs, keeper: started, reclaim: () => (containers += 2) };
  };

  it('cleans up now and then, never on the beat, and says nothing where there was nothing to do', async () => {
    const { clock, lines, atMs, keeper } = begin(() => Promise.resolve(NOTHING));
    await passTime(clock, 60 * MINUTES);
    const waits = atMs.map((time, i) => time - (atMs[i - 1] ?? 0));
    assert.ok(waits.length >= 9, String(waits));
    assert.ok(waits.every((ms) => ms >= 4 * MINUTES && ms <= 6.1 * MINUTES));
    assert.ok(new Set(waits).size > 5);
    assert.deepEqual(lines, []);
    assert.deepEqual([keeper.counts().runs, keeper.counts().unusedBytes, keeper.counts().failures], [waits.length, 7, 0]);
  });

  it('says in one line what went, and counts it', async () => {
    const run = begin(() => {
      run.reclaim();
      return Promise.resolve({ removed: Array.from({ length: 12 }, (_, i) => `web:${i}`), freedBytes: 3 * 2 ** 20, unusedBytes: 0 });
    });
    await passTime(run.clock, 7 * MINUTES);
    assert.equal(run.lines.length, 1);
    assert.match(run.lines[0] ?? '', /^cleaned up .*"containers":2.*"web:9"\],"more":2,"freed":"3MiB"/);
    const { containersRemoved, leftoversRemoved, freedBytes } = run.keeper.counts();
    assert.deepEqual([containersRemoved, leftoversRemoved, freedBytes], [2, 12, 3 * 2 ** 20]);
  });

  it('goes on after a clean-up that failed', async () => {
    const { clock, lines, keeper } = begin(() => Promise.reject(new ShoalError('unavailable', 'the engine does not answer')));
    await passTime(clock, 15 * MINUTES);
    assert.ok(keeper.counts().failures >= 2);
    assert.ok(lines.every((line) => line === 'cannot clean up now {"reason":"the engine does not answer"}'));
  });

  it('does nothing where it shall not', async () => {
    const { clock, atMs } = begin(() => Promise.resolve(NOTHING), Infinity);
    await passTime(clock, 15 * MINUTES);
    assert.deepEqual(atMs, []);
  });
});
