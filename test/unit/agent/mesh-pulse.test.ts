import assert from 'node:assert/strict';
import { MESH_SILENCE_MS, type MeshPulse, startMeshPulse } from '../../../agent/mesh/mesh-pulse.ts';
import { manualClock } from '../../support/manual-clock.ts';

describe('pulse of the mesh', () => {
  const begin = (answers: (sequence: number) => boolean, stallAtMs = Infinity, stallMs = 0) => {
    const base = manualClock();
    let lostMs = 0;
    // A stall: time goes on, no timer runs.
    const clock = { ...base, nowMs: () => base.nowMs() + lostMs };
    let silent = 0;
    let pings = 0;
    const pulse: MeshPulse = startMeshPulse(
      (sequence) => {
        pings++;
        if (answers(sequence)) pulse.answered(sequence);
      },
      clock,
      () => silent++,
    );
    return {
      pulse,
      pings: () => pings,
      silent: () => silent,
      pass(ms: number) {
        for (let passed = 0; passed < ms; passed += 100) {
          if (base.nowMs() === stallAtMs) lostMs += stallMs;
          base.advance(100);
        }
      },
    };
  };

  it('says once that a mesh has fallen silent, and asks no more', () => {
    const run = begin((sequence) => sequence <= 3);
    run.pass(3000 + MESH_SILENCE_MS);
    assert.equal(run.silent(), 0);
    run.pass(2000);
    assert.equal(run.silent(), 1);
    const asked = run.pings();
    run.pass(60_000);
    assert.deepEqual([run.silent(), run.pings()], [1, asked]);
  });

  it('says nothing of a mesh that answers, or misses a few', () => {
    const run = begin((sequence) => sequence % 4 === 0);
    run.pass(120_000);
    assert.equal(run.silent(), 0);
  });

  it('does not take a stall of the agent itself for silence', () => {
    const run = begin((sequence) => sequence < 5 || sequence > 6, 5500, 60_000);
    run.pass(30_000);
    assert.equal(run.silent(), 0);
  });

  it('ends with the link', () => {
    const run = begin(() => false);
    run.pulse.stop();
    run.pass(60_000);
    assert.deepEqual([run.silent(), run.pings()], [0, 0]);
  });
});
