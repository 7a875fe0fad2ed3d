import assert from 'node:assert/strict';
import { fanOutWindow } from '../../../manager/dispatcher/settings.ts';

describe('the window of what goes to all nodes', () => {
  it('grows with the sessions of the moment, within a quarter of a second', () => {
    let sessions = 0;
    const window = fanOutWindow({ shortMs: 10, longMs: 25 }, () => sessions);
    for (const [count, longMs] of [
      [0, 25],
      [200, 25],
      [1700, 170],
      [10_000, 250],
    ] as const) {
      sessions = count;
      assert.deepEqual([window.shortMs, window.longMs], [10, longMs], `${count} sessions`);
    }
  });
});
