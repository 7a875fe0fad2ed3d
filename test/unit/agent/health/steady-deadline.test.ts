import assert from 'node:assert/strict';
import { steadyDeadline } from '../../../../agent/health/steady-deadline.ts';
import type { Clock } from '../../../../lib/clock.ts';
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts';

/** A clock whose timers come late by what the process stood still. */
function stallingClock(): ManualClock & { stall(ms: number): void } {
  const base = manualClock();
  let lateMs = 0;
  const clock: Clock = { ...base, nowMs: () => base.nowMs() + lateMs };
  return Object.assign(clock as ManualClock, {
    stall(ms: number) {
      lateMs += ms;
    },
  });
}

describe('a steady deadline', () => {
  it('is over after its time', () => {
    const clock = manualClock();
    let over = 0;
    steadyDeadline(clock, 1000, () => over++);
    clock.advance(999);
    assert.equal(over, 0);
    clock.advance(1);
    assert.equal(over, 1);
    clock.advance(5000);
    assert.equal([over, clock.waiting].join(), '1,0');
  });

  it('does not count a stall of this process, and is not over in the tick after it', () => {
    const clock = stallingClock();
    let over = 0;
    steadyDeadline(clock, 1000, () => over++);
    clock.advance(900);
    clock.stall(30_000);
    clock.advance(100);
    assert.equal(over, 0, 'the late tick judges nobody');
    clock.advance(249);
    assert.equal(over, 0);
    clock.advance(1);
    assert.equal(over, 1);
  });

  it('can be cancelled', () => {
    const clock = manualClock();
    const timer = steadyDeadline(clock, 1000, () => assert.fail('cancelled'));
    clock.advance(600);
    timer.cancel();
    clock.advance(5000);
    assert.equal(clock.waiting, 0);
  });
});
