// One mocha test for each transcript of a folder: played, and compared with what is recorded, or recorded anew with RECORD=1.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'mocha';
import { replay, type Verbs } from './transcript.ts';

const records = process.env['RECORD'] === '1';

export function playTranscripts(folder: string, makeVerbs: () => Verbs | Promise<Verbs>): void {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.txt')) continue;
    it(name.replace('.txt', '').replaceAll('-', ' '), async () => {
      const file = join(folder, name);
      const recorded = readFileSync(file, 'utf8');
      const verbs = await makeVerbs();
      const seen = await replay(recorded, verbs).finally(() => verbs.stop?.());
      if (records) writeFileSync(file, seen);
      else assert.equal(seen, recorded, `${name} differs; record it anew with RECORD=1 if that is meant`);
    });
  }
}
