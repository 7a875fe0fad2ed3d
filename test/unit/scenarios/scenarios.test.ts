// Plays every transcript of test/scenarios. `RECORD=1 npx mocha test/unit/scenarios` writes what is seen now into them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { modelVerbs } from '../../support/transcript/model-verbs.ts';
import { probeVerbs } from '../../support/transcript/probe-verbs.ts';
import { playTranscripts } from '../../support/transcript/recorded.ts';
import { taskVerbs } from '../../support/transcript/task-verbs.ts';
import { replay } from '../../support/transcript/transcript.ts';

const FOLDER = join(import.meta.dirname, '../../scenarios');

describe('transcripts', () => {
  playTranscripts(FOLDER, modelVerbs);

  describe('of one task on its node', () => {
    playTranscripts(join(FOLDER, 'task'), taskVerbs);
  });

  describe('of probes', () => {
    playTranscripts(join(FOLDER, 'probe'), probeVerbs);
  });

  it('name what is wrong with a step', async () => {
    await assert.rejects(
      replay('given nodes a\nwhen explode web', modelVerbs()),
      /line 2: when explode web: "explode" is not one of nodes/,
    );
    await assert.rejects(replay('nonsense', modelVerbs()), /line 1: nonsense/);
  });
});
