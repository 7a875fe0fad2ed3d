import assert from 'node:assert/strict';
import { beyondRetention, type FinishedContainer } from '../../../agent/worker/retention.ts';

const finished = (taskId: string, slot: string, sinceUnixMs: number): FinishedContainer => ({ taskId, slot, sinceUnixMs });

describe('retention of finished containers', () => {
  it('lets the oldest of a slot go beyond five', () => {
    const all = Array.from({ length: 7 }, (_, index) => finished(`t${index}`, 'web/1', index));
    assert.deepEqual(beyondRetention([finished('other', 'web/2', 0), ...all]), ['t1', 't0']);
  });

  it('lets the oldest of the node go beyond its bound', () => {
    const all = Array.from({ length: 4 }, (_, index) => finished(`t${index}`, `s${index}/1`, index));
    assert.deepEqual(beyondRetention(all, { perSlot: 5, perNode: 3 }), ['t0']);
  });
});
