import assert from 'node:assert/strict';
import { createSingleFlight } from '../../../lib/single-flight.ts';

describe('single flight', () => {
  const setUp = () => {
    const flight = createSingleFlight<string>();
    const runs: { settle: (result: string) => void; signal: AbortSignal }[] = [];
    const work = (signal: AbortSignal): Promise<string> => new Promise((settle) => runs.push({ settle, signal }));
    return { flight, runs, work };
  };
  const never = new AbortController().signal;

  it('does the work of one key once for all who ask meanwhile', async () => {
    const { flight, runs, work } = setUp();
    const asked = [flight('a', work, never), flight('a', work, never), flight('b', work, never)];
    assert.equal(runs.length, 2);
    runs[0]?.settle('one');
    runs[1]?.settle('two');
    assert.deepEqual(await Promise.all(asked), ['one', 'one', 'two']);
    void flight('a', work, never);
    assert.equal(runs.length, 3);
  });

  it('lets one caller go without the others, and ends the work with the last', async () => {
    const { flight, runs, work } = setUp();
    const controllers = [new AbortController(), new AbortController()];
    const asked = controllers.map((controller) => flight('a', work, controller.signal));
    controllers[0]?.abort();
    await assert.rejects(asked[0] ?? assert.fail(), { code: 'cancelled' });
    assert.equal(runs[0]?.signal.aborted, false);
    controllers[1]?.abort();
    await assert.rejects(asked[1] ?? assert.fail(), { code: 'cancelled' });
    assert.equal(runs[0].signal.aborted, true);
  });

  it('remembers no failure', async () => {
    const flight = createSingleFlight<string>();
    await assert.rejects(
      flight('a', () => Promise.reject(new Error('no')), never),
      /no/,
    );
    assert.equal(await flight('a', () => Promise.resolve('yes'), never), 'yes');
  });
});
