// The verbs of transcripts about the probes of one task: what it answers, and what the agent makes of it, in model time.
import assert from 'node:assert/strict';
import type { Ask } from '../../../agent/health/ask.ts';
import { type HealthDeps, watchLiveness, watchReadiness, watchStartUp } from '../../../agent/health/task-health.ts';
import type { Answer } from '../../../agent/health/verdict.ts';
import { limiter } from '../../../agent/worker/limiter.ts';
import { parseProbe } from '../../../cli/service/spec/probes.ts';
import { seededRng } from '../../../lib/rng.ts';
import { manualClock } from '../manual-clock.ts';
import { passTime } from '../virtual-time.ts';
import { durationOf } from './spec-words.ts';
import type { Verbs } from './transcript.ts';

const TARGET = { taskId: 't1', address: '10.0.0.2', dataAddress: '127.0.0.1', ports: [] };

export function probeVerbs(): Verbs {
  const clock = manualClock();
  const over = new AbortController();
  const told: string[] = [];
  let answer: Answer = { kind: 'passed' };
  let tries = 0;
  const ask: Ask = () => {
    tries++;
    return Promise.resolve(answer);
  };
  const deps: HealthDeps = { clock, rng: seededRng(1), limiter: limiter({ inFlight: 64 }, clock), askerOf: () => ask };
  const tell = (words: string): void => {
    told.push(`${clock.nowMs() / 1000} s: ${words}`);
  };
  return {
    acts: {
      /** probe readiness|liveness|startup CHECK[,OPTIONS]: as --readiness-probe takes it */
      probe: ([kind = '', text = '']) => {
        assert.ok(kind === 'readiness' || kind === 'liveness' || kind === 'startup', `"${kind}" is no kind`);
        const probe = parseProbe(text, kind);
        if (typeof probe === 'string') assert.fail(probe);
        switch (kind) {
          case 'readiness':
            watchReadiness(
              probe,
              TARGET,
              undefined,
              ({ ready, reason }) => tell(ready ? 'ready' : `not ready: ${reason}`),
              deps,
              over.signal,
            );
            return;
          case 'liveness':
            watchLiveness(probe, TARGET, (reason) => tell(`to be replaced: ${reason}`), deps, over.signal);
            return;
          case 'startup':
            watchStartUp(
              probe,
              TARGET,
              {
                passed: () => tell('started'),
                waits: (reason) => tell(`still starting: ${reason}`),
                failed: (reason) => tell(`to be replaced: ${reason}`),
              },
              deps,
              over.signal,
            );
        }
      },
      passes: () => {
        answer = { kind: 'passed' };
      },
      fails: (words) => {
        answer = { kind: 'failed', reason: words.join(' ') };
      },
      time: async ([duration = '']) => {
        await passTime(clock, durationOf(duration));
      },
    },
    views: {
      /** Since that was last asked for. */
      told: () => (told.length === 0 ? ['nothing'] : told.splice(0)),
      tries: () => [String(tries)],
    },
  };
}
