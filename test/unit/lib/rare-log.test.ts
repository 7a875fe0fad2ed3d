import assert from 'node:assert/strict';
import { type LogFields, silentLogger } from '../../../lib/log.ts';
import { rareLog } from '../../../lib/rare-log.ts';

describe('a rare log', () => {
  it('writes the first of a kind at once, then one per period with the number left out', () => {
    const lines: (readonly [string, LogFields | undefined])[] = [];
    let nowMs = 5;
    const warn = rareLog(
      { ...silentLogger, warn: (message, fields) => lines.push([message, fields]) },
      { nowMs: () => nowMs },
      { periodMs: 1000 },
    );
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

  it('may write several per period', () => {
    const lines: unknown[] = [];
    const log = { ...silentLogger, warn: (_message: string, fields?: LogFields) => lines.push(fields) };
    let nowMs = 0;
    const warn = rareLog(log, { nowMs: () => nowMs }, { perPeriod: 3, periodMs: 1000 });
    for (let i = 0; i < 10; i++) warn('a', { i });
    nowMs = 1000;
    for (let i = 0; i < 5; i++) warn('a', { i });
    assert.deepEqual(lines, [{ i: 0 }, { i: 1 }, { i: 2 }, { i: 0, leftOut: 7 }, { i: 1 }, { i: 2 }]);
  });
});
