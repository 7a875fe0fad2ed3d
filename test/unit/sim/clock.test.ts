import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { seededRng } from '../../../lib/rng.ts';
import { startProcess } from '../../sim/core/process.ts';
import { Scheduler } from '../../sim/core/scheduler.ts';

describe('the clock of a simulated process', () => {
  const processOf = (scheduler: Scheduler) =>
    startProcess({
      name: 'm1',
      role: 'manager',
      host: { name: 'h1', on: true, wallOffsetMs: 0 },
      rng: seededRng(1),
      scheduler,
      watch: { atPoint: () => undefined, died: () => undefined },
    });

  it('moves on for who waits for less than it can tell apart', async () => {
    const scheduler = new Scheduler();
    await scheduler.step(36_043.346);
    const { clock } = processOf(scheduler);
    const before = clock.nowMs();
    clock.after(1e-13, () => undefined);
    await scheduler.step(Infinity);
    assert.ok(clock.nowMs() > before);
  });

  it('counts what happens in one instant', async () => {
    const scheduler = new Scheduler();
    const owner = processOf(scheduler);
    for (const delayMs of [5, 5, 5, 7]) scheduler.after(owner, delayMs, () => undefined);
    const counted: number[] = [];
    while ((await scheduler.step(100)) !== undefined) counted.push(scheduler.stepsNow);
    assert.deepEqual(counted, [1, 2, 3, 1]);
  });
});
