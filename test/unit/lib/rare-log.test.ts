import assert from 'node:assert/strict';
import { type LogFields, silentLogger } from '../../../lib/log.ts';
import { rareLog } from '../../../lib/rare-log.ts';

describe('a rare log', () => {
  it('writes the first of a kind at once, then one per period with the number left out', () => {
    const lines: (readonly [string, LogFields | undefined])[] = [];
    let nowMs = 5;
    const warn = rareLog({ ...silentLogger, warn: (message, fields) => lines.push([message, fields]) }, { nowMs: () => nowMs }, 1000);
    warn('a', { peer: 1 });
    for (let i = 0; i < 100; i++) warn('a', { peer: i });
    warn('b');
    nowMs = 1004;
    warn('a', { peer: 2 });
    nowMs = 1005;
    warn('a', { peer: 3 });
    nowMs = 9000;
    warn('a', { peer: 4 });
    assert.deepEqual(lines, [
      ['a', { peer: 1 }],
      ['b', {}],
      ['a', { peer: 3, leftOut: 101 }],
      ['a', { peer: 4 }],
    ]);
  });
});
