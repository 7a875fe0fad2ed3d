import assert from 'node:assert/strict';
import { seededRng } from '../../../../lib/rng.ts';
import { type ProbeAnswer, Prober, QUIET_PORT } from '../../../../mesh/kernel/prober.ts';
import { manualClock } from '../../../support/manual-clock.ts';

describe('prober of nodes', () => {
  let clock: ReturnType<typeof manualClock>;
  let answers: Map<string, ProbeAnswer>;
  let asked: string[];
  let changes: number;
  /** How long this process stood still so far. */
  let stalledMs: number;
  let prober: Prober;

  beforeEach(() => {
    clock = manualClock();
    answers = new Map();
    asked = [];
    changes = 0;
    stalledMs = 0;
    prober = new Prober({
      clock: { ...clock, nowMs: () => clock.nowMs() + stalledMs },
      rng: seededRng(1),
      probe: (host, port, deadlineMs) => {
        asked.push(`${host}:${String(port)}`);
        const answer = answers.get(`${host}:${String(port)}`) ?? 'gone';
        if (answer !== 'gone') return Promise.resolve(answer);
        return new Promise((resolve) => clock.after(deadlineMs, () => resolve('gone')));
      },
      onChange: () => changes++,
    });
  });

  /** In steps, with the promises of each settled. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 10) {
      clock.advance(10);
      await Promise.resolve();
      await Promise.resolve();
    }
  };

  it('takes a node that answered and falls silent for dead within a second, and for alive when it answers again', async () => {
    answers.set(`n1:${String(QUIET_PORT)}`, 'answered');
    prober.watch(new Map([['n1', 80]]));
    await pass(1000);
    assert.equal(prober.dead().has('n1'), false);
    answers.clear();
    await pass(1000);
    assert.equal(prober.dead().has('n1'), true);
    answers.set(`n1:${String(QUIET_PORT)}`, 'answered');
    await pass(1000);
    assert.equal(prober.dead().has('n1'), false);
    assert.equal(changes, 2);
    assert.deepEqual([...new Set(asked)], [`n1:${String(QUIET_PORT)}`]);
  });

  it('asks a replica’s port where a firewall swallows the quiet one', async () => {
    answers.set('n1:80', 'answered');
    prober.watch(new Map([['n1', 80]]));
    await pass(2000);
    assert.equal(prober.dead().has('n1'), false);
    answers.clear();
    await pass(1000);
    assert.equal(prober.dead().has('n1'), true);
  });

  it('does not judge a node that never answered, nor by what it could not ask', async () => {
    prober.watch(new Map([['n1', 80]]));
    await pass(3000);
    assert.equal(prober.dead().has('n1'), false);
    answers.set(`n1:${String(QUIET_PORT)}`, 'answered');
    await pass(1000);
    answers.set(`n1:${String(QUIET_PORT)}`, 'unknown');
    await pass(3000);
    assert.equal(prober.dead().has('n1'), false);
  });

  it('does not judge by what was asked before this process stood still', async () => {
    answers.set(`n1:${String(QUIET_PORT)}`, 'answered');
    prober.watch(new Map([['n1', 80]]));
    await pass(500);
    answers.clear();
    await pass(250);
    // What was asked just now is not answered, for nothing is read.
    stalledMs += 2000;
    await pass(250);
    answers.set(`n1:${String(QUIET_PORT)}`, 'unknown');
    await pass(500);
    answers.set(`n1:${String(QUIET_PORT)}`, 'answered');
    await pass(1000);
    assert.equal(changes, 0);
  });

  it('stops when there is nobody to ask', async () => {
    prober.watch(new Map([['n1', 80]]));
    await pass(500);
    prober.watch(new Map());
    const before = asked.length;
    await pass(1000);
    assert.equal(asked.length, before);
    assert.equal(clock.waiting, 0);
  });
});
