import assert from 'node:assert/strict';
import { type EngineWatch, engineWatch } from '../../../agent/engine-watch.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { manualClock, type ManualClock } from '../../support/manual-clock.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { passTime, passUntil } from '../../support/virtual-time.ts';

const GONE = new ShoalError('unavailable', 'the engine does not\nanswer (ECONNREFUSED)');

describe('engine watch', () => {
  let clock: ManualClock;
  let runtime: ScriptedRuntime;
  let watch: EngineWatch;
  let changes: number;

  beforeEach(async () => {
    clock = manualClock(1000);
    runtime = scriptedRuntime();
    changes = 0;
    watch = engineWatch(runtime, clock, seededRng(1), silentLogger, () => changes++);
    await watch.start();
  });
  afterEach(() => {
    watch.stop();
  });

  const described = (): number => runtime.calls.filter((call) => call === 'describe').length;

  it('asks for a sign of life every few seconds, and for the rest rarely', async () => {
    await passTime(clock, 60_000);
    const checks = runtime.calls.filter((call) => call === 'check').length;
    assert.ok(checks >= 10 && checks <= 20, String(checks));
    assert.equal(described(), 1);
    await passTime(clock, 300_000);
    assert.equal(described(), 2);
  });

  it('says why and since when an engine does not answer, on one line, and goes on with what it said before', async () => {
    runtime.fail('check', GONE);
    await passUntil(clock, () => watch.trouble() !== undefined, 'trouble', 10_000);
    const trouble = watch.trouble();
    assert.deepEqual(trouble, { reason: 'the engine does not answer (ECONNREFUSED)', sinceUnixMs: clock.wallMs() });
    assert.equal(watch.facts().engine.version, '1.0');
    const before = changes;
    await passTime(clock, 60_000);
    assert.equal(watch.trouble(), trouble);
    assert.equal(changes, before, 'nothing to report while nothing changes');
  });

  it('keeps since when, though the reason becomes another', async () => {
    runtime.fail('check', GONE);
    await passUntil(clock, () => watch.trouble() !== undefined, 'trouble');
    const since = watch.trouble()?.sinceUnixMs;
    runtime.fail('check', new ShoalError('deadline_exceeded', 'too late'));
    await passUntil(clock, () => watch.trouble()?.reason === 'too late', 'the new reason');
    assert.equal(watch.trouble()?.sinceUnixMs, since);
  });

  it('ends the trouble by itself when the engine answers again, and asks what it is now', async () => {
    runtime.fail('check', GONE);
    await passUntil(clock, () => watch.trouble() !== undefined, 'trouble');
    runtime.fail('check', undefined);
    await passUntil(clock, () => watch.trouble() === undefined, 'the end of the trouble', 6000);
    assert.equal(described(), 2);
  });

  it('does not believe a single failure', async () => {
    const before = changes;
    runtime.fail('check', GONE);
    const failed = runtime.calls.length;
    await passUntil(clock, () => runtime.calls.length > failed, 'a failed check');
    runtime.fail('check', undefined);
    await passTime(clock, 30_000);
    assert.equal(watch.trouble(), undefined);
    assert.equal(changes, before);
  });

  it('believes the first failure of an engine that has never answered', async () => {
    const silent = scriptedRuntime();
    silent.fail('check', GONE);
    const other = engineWatch(silent, clock, seededRng(2), silentLogger, () => undefined);
    await other.start();
    other.stop();
    assert.notEqual(other.trouble(), undefined);
  });
});
