// Plays the transcripts of command lines. `RECORD=1 npx mocha test/integration/scenarios` writes what is seen now into them.
import { join } from 'node:path';
import { describe } from 'mocha';
import { commandVerbs } from '../../support/transcript/command-verbs.ts';
import { playTranscripts } from '../../support/transcript/recorded.ts';

describe('transcripts of command lines', function () {
  // Some have dozens of calls.
  this.timeout(60_000);

  playTranscripts(join(import.meta.dirname, '../../scenarios/commands'), commandVerbs);
});
