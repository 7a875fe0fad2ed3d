import assert from 'node:assert/strict';
import { ServiceRests } from '../../../manager/leader/service-rests.ts';
import { manualClock, type ManualClock } from '../../support/manual-clock.ts';

describe('the rest of a service after a look at it', () => {
  let clock: ManualClock;
  let rests: ServiceRests;
  let over: number;

  beforeEach(() => {
    clock = manualClock(1000);
    over = 0;
    rests = new ServiceRests(clock, () => over++);
  });

  /** Milliseconds until it may be looked at again. */
  function restOf(serviceId: string): number {
    let ms = 0;
    while (rests.has(serviceId)) {
      clock.advance(1);
      ms++;
    }
    return ms;
  }

  it('is as long as the service is big, within a second', () => {
    for (const [tasks, ms] of [
      [10, 0],
      [100, 0],
      [1000, 40],
      [10_000, 400],
      [1_000_000, 1000],
    ] as const) {
      clock.advance(1000);
      rests.begin('a', tasks);
      assert.equal(restOf('a'), ms, `${tasks} tasks`);
    }
  });

  it('tells its end, once', () => {
    rests.begin('a', 1000);
    clock.advance(39);
    assert.equal(over, 0);
    clock.advance(1);
    assert.equal(over, 1);
  });

  it('grows while many are looked at, with none beyond ten times its own', () => {
    for (let n = 0; n < 20; n++) rests.begin(`big${n}`, 5000);
    rests.begin('middling', 1000);
    rests.begin('small', 10);
    assert.ok(!rests.has('small'));
    assert.equal(restOf('middling'), 400);
    assert.equal(restOf('big19'), 600);
  });

  it('ends with the leader', () => {
    rests.begin('a', 1000);
    rests.stop();
    assert.ok(!rests.has('a'));
    clock.advance(100);
    assert.equal(over, 0);
  });
});
