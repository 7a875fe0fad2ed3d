// Plays every transcript of test/scenarios. `RECORD=1 npx mocha test/unit/scenarios` writes what is seen now into them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { modelVerbs } from '../../support/transcript/model-verbs.ts';
import { replay } from '../../support/transcript/transcript.ts';

const FOLDER = join(import.meta.dirname, '../../scenarios');
const records = process.env['RECORD'] === '1';

describe('transcripts', () => {
  for (const name of readdirSync(FOLDER).sort()) {
    if (!name.endsWith('.txt')) continue;
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const file = join(FOLDER, name);
      const recorded = readFileSync(file, 'utf8');
      const seen = replay(recorded, modelVerbs());
      if (records) writeFileSync(file, seen);
      else assert.equal(seen, recorded, `${name} differs; record it anew with RECORD=1 if that is meant`);
    });
  }

  it('name what is wrong with a step', () => {
    assert.throws(() => replay('given nodes a\nwhen explode web', modelVerbs()), /line 2: when explode web: "explode" is not one of nodes/);
    assert.throws(() => replay('nonsense', modelVerbs()), /line 1: nonsense/);
  });
});
