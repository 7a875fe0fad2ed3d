import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { compactHistory } from '../../../manager/leader/compactor.ts';
import type { Revision, Store } from '../../../manager/store/store.ts';
import { Slot } from '../../../proto/index.ts';
import { leaderBench } from '../../support/leader-bench.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { row, stateWith, storeRows } from '../../support/state-rows.ts';
import { passTime } from '../../support/virtual-time.ts';

const MINUTE_MS = 60_000;

describe('the compactor', () => {
  it('keeps ten minutes of history, and says each revision once', async () => {
    const clock = manualClock();
    const state = stateWith();
    const compacted: Revision[] = [];
    const newest = (): Revision | undefined => compacted[compacted.length - 1];
    let failures = 0;
    const store = {
      compact(revision: Revision) {
        if (failures-- > 0) return Promise.reject(new ShoalError('unavailable', 'not now'));
        compacted.push(revision);
        return Promise.resolve();
      },
    } as Store;
    const ended = new AbortController();
    const done = compactHistory({ store, state, clock, log: silentLogger }, ended.signal);
    const minutes = async (count: number, revisions: number): Promise<void> => {
      for (let minute = 0; minute < count; minute++) {
        state.applyProgress(state.revision + revisions);
        await passMinute(clock);
      }
    };
    await minutes(9, 100);
    assert.deepEqual(compacted, [], 'nothing is ten minutes old');
    await minutes(3, 100);
    assert.deepEqual(compacted, [1, 101, 201], 'what was the newest ten minutes ago');
    failures = 1;
    await minutes(2, 0);
    assert.equal(newest(), 401, 'a failure is made up for by the next');
    await minutes(30, 0);
    const settled = compacted.length;
    await minutes(30, 0);
    assert.equal(compacted.length, settled, 'an idle store is not asked again');
    ended.abort();
    await done;
    assert.equal(clock.waiting, 0);
  });

  it('leaves a watch that is up alone, and a snapshot readable', async () => {
    const bench = leaderBench();
    const followed = await bench.follow();
    const ended = new AbortController();
    const done = compactHistory({ ...followed, clock: bench.clock, log: silentLogger }, ended.signal);
    for (let i = 0; i < 15; i++) {
      await storeRows(bench.store, row('slots', `s/${i}`, Slot.create({ taskId: 't' })));
      await passMinute(bench.clock);
    }
    assert.equal(followed.state.count('slots'), 15);
    const [first] = await firstOf(bench.store.watch('', 1, AbortSignal.timeout(1000)));
    assert.equal(first?.type, 'compacted');
    assert.equal((await bench.store.snapshot('slots/')).items.length, 15);
    ended.abort();
    await done;
    await bench.stop();
  });
});

async function passMinute(clock: ReturnType<typeof manualClock>): Promise<void> {
  clock.advance(MINUTE_MS);
  await passTime(clock, 0);
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  for await (const item of items) return [item];
  return [];
}
