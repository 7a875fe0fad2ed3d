import assert from 'node:assert/strict';
import { strayArguments, unknownFlags } from '../../../lib/unknown-flags.ts';

const KNOWN = ['--data-dir', '--label'];

describe('arguments that a parser left over', () => {
  it('are unknown flags, with what was meant perhaps; numbers and what follows "--" are none', () => {
    assert.deepEqual(unknownFlags(['--data-dri=x', '-5', '-', '-z', 'word', '--', '--more'], KNOWN), [
      { path: '--data-dri', message: 'unknown flag (did you mean --data-dir?)' },
      { path: '-z', message: 'unknown flag' },
    ]);
  });

  it('are words too many where only flags are taken, but for what may be the value of an unknown flag', () => {
    assert.deepEqual(
      strayArguments(['--nosuch', 'its-value', 'stray'], KNOWN).map(({ path }) => path),
      ['--nosuch', 'stray'],
    );
  });
});
