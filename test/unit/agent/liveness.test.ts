import assert from 'node:assert/strict';
import { liveness } from '../../../agent/session/liveness.ts';

describe('liveness of the manager', () => {
  it('is silent once the oldest unanswered heartbeat is too old', () => {
    const alive = liveness(2000, 500);
    alive.sent(1, 0);
    alive.sent(2, 1000);
    assert.deepEqual(
      [500, 1000, 1500, 2000].map((nowMs) => alive.silent(nowMs)),
      [false, false, false, true],
    );
  });

  it('counts any later answer, but not an earlier one', () => {
    const alive = liveness(2000, 500);
    alive.sent(5, 0);
    alive.answered(4, 10);
    assert.equal(alive.silent(2000), true);
    alive.answered(6, 2100);
    assert.equal(alive.silent(2500), false);
  });

  it('does not take its own stall for silence', () => {
    const alive = liveness(2000, 500);
    alive.silent(0);
    alive.sent(1, 100);
    assert.equal(alive.silent(500), false);
    // Stopped for a minute: the answer may lie unread in the socket.
    assert.equal(alive.silent(60_500), false);
    assert.equal(alive.silent(61_000), false);
    // Not answered after that either.
    assert.equal(alive.silent(61_500), false);
    assert.equal(alive.silent(62_000), true);
  });
});
