import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { type HeldPlace, Holds } from '../../../../mesh/kernel/holds.ts';
import { manualClock } from '../../../support/manual-clock.ts';

const KEY = 'tcp 10.0.0.1 . 80';

describe('tasks that the kernel may have connections to', () => {
  let clock: ReturnType<typeof manualClock>;
  let open: Set<string>;
  let busy: Set<string> | undefined;
  let holds: Holds;

  beforeEach(() => {
    clock = manualClock();
    open = new Set();
    busy = new Set();
    holds = new Holds({
      clock,
      log: silentLogger,
      drains: {
        opened: (taskId) => {
          assert.ok(!open.has(taskId));
          open.add(taskId);
        },
        closed: (taskId) => {
          assert.ok(open.delete(taskId));
        },
      },
      flows: { busy: () => (busy === undefined ? Promise.reject(new Error('no conntrack')) : Promise.resolve(busy)) },
    });
  });

  const task = (draining: boolean): readonly HeldPlace[] => [{ taskId: 'a', flow: KEY, draining }];
  const looks = async (times: number): Promise<void> => {
    for (let turn = 0; turn < times * 25; turn++) {
      clock.advance(10);
      for (let step = 0; step < 5; step++) await Promise.resolve();
    }
  };

  it('count as open from before they are mapped, until they drain without a connection', async () => {
    holds.expect(task(false));
    holds.mapped(() => new Set([KEY]));
    await looks(3);
    assert.deepEqual([...open], ['a']);
    busy = new Set([KEY]);
    holds.expect(task(true));
    await looks(3);
    assert.deepEqual([...open], ['a'], 'still mapped');
    holds.mapped(() => new Set());
    await looks(3);
    assert.deepEqual([...open], ['a'], 'a connection is open');
    busy = new Set();
    await looks(1);
    assert.deepEqual([...open], ['a'], 'one look may have missed it');
    await looks(2);
    assert.deepEqual([...open], []);
    holds.expect(task(true));
    await looks(3);
    assert.deepEqual([...open], []);
  });

  it('count again when they take connections again', async () => {
    holds.expect(task(true));
    holds.mapped(() => new Set());
    await looks(3);
    assert.deepEqual([...open], []);
    holds.expect(task(false));
    assert.deepEqual([...open], ['a']);
  });

  it('count until they leave the table where conntrack cannot be read', async () => {
    busy = undefined;
    holds.expect(task(true));
    holds.mapped(() => new Set());
    await looks(10);
    assert.deepEqual([...open], ['a']);
    holds.expect([]);
    assert.deepEqual([...open], []);
    await looks(2);
    assert.equal(clock.waiting, 0);
  });
});
