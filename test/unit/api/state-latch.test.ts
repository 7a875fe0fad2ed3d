import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { stateLatch } from '../../../manager/api/state-latch.ts';
import { Task } from '../../../proto/index.ts';
import { putRows, row, stateWith } from '../../support/state-rows.ts';

const task = (id: string) => row('tasks', id, Task.create({ id }));

describe('a wait for changes of the state', () => {
  const concerning = (id: string) => {
    const state = stateWith();
    return { state, latch: stateLatch(state, (change) => change.id === id) };
  };

  it('ends with a change that concerns, be it one that came while nobody waited', async () => {
    const { state, latch } = concerning('a');
    const { signal } = new AbortController();
    putRows(state, task('a'));
    await latch.changed(signal);
    let woken = false;
    const waiting = latch.changed(signal).then(() => (woken = true));
    putRows(state, task('b'));
    await Promise.resolve();
    assert.equal(woken, false);
    latch.poke();
    await waiting;
  });

  it('ends with the signal', async () => {
    const { latch } = concerning('a');
    const controller = new AbortController();
    const waiting = latch.changed(controller.signal);
    controller.abort();
    await assert.rejects(waiting, { code: 'cancelled' });
  });

  it('leaves nothing behind on the signal of a stream that lives long', async () => {
    const { latch } = concerning('a');
    const { signal } = new AbortController();
    for (let round = 0; round < 3; round++) {
      const waiting = latch.changed(signal);
      latch.poke();
      await waiting;
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});
