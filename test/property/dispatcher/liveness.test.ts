// Whatever heartbeats come when: who is named silent, and when.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Liveness } from '../../../manager/dispatcher/liveness.ts';

const NODES = ['a', 'b', 'c'];
const DOWN_AFTER_MS = 5000;

const step = fc.record({
  afterMs: fc.integer({ min: 0, max: 4000 }),
  kind: fc.constantFrom('heard', 'heard', 'heard', 'forget', 'look'),
  node: fc.constantFrom(...NODES),
});

describe('the liveness of nodes', () => {
  it('is lost five seconds after the last heartbeat, not before and once, and found again with the next', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let nowMs = 0;
        const liveness = new Liveness(
          () => nowMs,
          () => DOWN_AFTER_MS,
        );
        const heardMs = new Map<string, number>();
        for (const { afterMs, kind, node } of steps) {
          nowMs += afterMs;
          if (kind === 'heard') {
            liveness.heard(node);
            heardMs.set(node, nowMs);
          } else if (kind === 'forget') {
            liveness.forget(node);
            heardMs.delete(node);
          } else {
            const late = NODES.filter((id) => nowMs - (heardMs.get(id) ?? Infinity) >= DOWN_AFTER_MS);
            assert.deepEqual([...liveness.takeSilent()].sort(), late);
            for (const id of late) heardMs.delete(id);
          }
          for (const id of NODES) assert.equal(liveness.fresh(id), heardMs.has(id), id);
        }
      }),
    );
  });
});
