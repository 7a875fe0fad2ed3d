import assert from 'node:assert/strict';
import { Slots } from '../../../mesh/udp/slots.ts';

describe('slots', () => {
  it('are given out in order, and again once they have rested', () => {
    const slots = new Slots(3, 100);
    assert.deepEqual([slots.take(0), slots.take(0)], [0, 1]);
    slots.give(1, 10);
    assert.equal(slots.take(109), 2, 'not yet');
    slots.give(2, 109);
    assert.equal(slots.take(110), 1);
  });

  it('come before they have rested where nothing else is left, oldest first, and then not at all', () => {
    const slots = new Slots(2, 100);
    slots.take(0);
    slots.take(0);
    slots.give(1, 5);
    slots.give(0, 6);
    assert.deepEqual([slots.take(7), slots.take(7), slots.take(7)], [1, 0, undefined]);
  });

  it('keep their order through many rounds', () => {
    const slots = new Slots(50, 0);
    const out = Array.from({ length: 50 }, () => slots.take(0));
    for (let round = 0; round < 200; round++) {
      const slot = out.shift() ?? -1;
      slots.give(slot, round);
      assert.equal(slots.take(round), slot);
      out.push(slot);
    }
  });
});
