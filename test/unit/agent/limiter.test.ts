import assert from 'node:assert/strict';
import { limiter } from '../../../agent/worker/limiter.ts';
import { manualClock } from '../../support/manual-clock.ts';

const NEVER = new AbortController().signal;

function job(): { readonly work: () => Promise<void>; readonly began: () => boolean; readonly end: () => void } {
  let end: () => void = () => undefined;
  let began = false;
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    work: () => {
      began = true;
      return done;
    },
    began: () => began,
    end: () => {
      end();
    },
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('limiter', () => {
  it('runs so many at once, the more urgent ones first', async () => {
    const limit = limiter({ inFlight: 1, patienceMs: 1000 }, manualClock());
    const [first, later, urgent] = [job(), job(), job()];
    void limit.run(1, NEVER, first.work);
    void limit.run(1, NEVER, later.work);
    void limit.run(0, NEVER, urgent.work);
    assert.deepEqual([first.began(), later.began(), urgent.began()], [true, false, false]);
    first.end();
    await settled();
    assert.deepEqual([later.began(), urgent.began()], [false, true]);
    urgent.end();
    await settled();
    assert.equal(later.began(), true);
  });

  it('does not let work that only waits hold up the rest', () => {
    const clock = manualClock();
    const limit = limiter({ inFlight: 1, patienceMs: 1000 }, clock);
    const [slow, next] = [job(), job()];
    void limit.run(1, NEVER, slow.work);
    void limit.run(1, NEVER, next.work);
    clock.advance(999);
    assert.equal(next.began(), false);
    clock.advance(1);
    assert.equal(next.began(), true);
  });

  it('counts work that outlived its patience only once', async () => {
    const clock = manualClock();
    const limit = limiter({ inFlight: 1, patienceMs: 1000 }, clock);
    const [slow, second, third] = [job(), job(), job()];
    void limit.run(1, NEVER, slow.work);
    clock.advance(1000);
    void limit.run(1, NEVER, second.work);
    void limit.run(1, NEVER, third.work);
    slow.end();
    await settled();
    assert.deepEqual([second.began(), third.began()], [true, false]);
  });

  it('drops work that is no longer wanted before it began', async () => {
    const limit = limiter({ inFlight: 1, patienceMs: 1000 }, manualClock());
    const [first, dropped] = [job(), job()];
    const controller = new AbortController();
    void limit.run(1, NEVER, first.work);
    const result = limit.run(1, controller.signal, dropped.work);
    controller.abort(new Error('no longer wanted'));
    await assert.rejects(result, /no longer wanted/);
    first.end();
    await settled();
    assert.equal(dropped.began(), false);
  });

  it('passes failures on and goes on', async () => {
    const limit = limiter({ inFlight: 1, patienceMs: 1000 }, manualClock());
    await assert.rejects(
      limit.run(1, NEVER, () => Promise.reject(new Error('no'))),
      /no/,
    );
    assert.equal(await limit.run(1, NEVER, () => Promise.resolve(3)), 3);
  });
});
