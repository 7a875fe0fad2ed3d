import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { BoundedQueue } from '../../../lib/queue.ts';

async function drain<T>(queue: BoundedQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

describe('bounded queue', () => {
  it('gives items in order to a reader that came before and after them', async () => {
    const queue = new BoundedQueue<number>(10);
    queue.push(1);
    const all = drain(queue);
    queue.push(2);
    queue.end();
    assert.deepEqual(await all, [1, 2]);
  });

  it('refuses an item above its limit, and after its end', () => {
    const queue = new BoundedQueue<number>(1);
    assert.equal(queue.push(1), true);
    assert.equal(queue.push(2), false);
    queue.end();
    assert.equal(queue.push(3), false);
  });

  it('gives what waits before it fails', async () => {
    const queue = new BoundedQueue<number>(10);
    queue.push(1);
    queue.fail(new ShoalError('unavailable', 'gone'));
    const items: number[] = [];
    await assert.rejects(
      async () => {
        for await (const item of queue) items.push(item);
      },
      { code: 'unavailable' },
    );
    assert.deepEqual(items, [1]);
  });
});
