import assert from 'node:assert/strict';
import type { Ask } from '../../../../agent/health/ask.ts';
import { type HealthDeps, watchLiveness, watchReadiness, watchStartUp } from '../../../../agent/health/task-health.ts';
import type { Answer } from '../../../../agent/health/verdict.ts';
import { limiter } from '../../../../agent/worker/limiter.ts';
import { Probe, type Readiness } from '../../../../proto/index.ts';
import { seededRng } from '../../../../lib/rng.ts';
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts';
import { passTime, passUntil } from '../../../support/virtual-time.ts';

const TARGET = { taskId: 't1', address: '10.0.0.2', dataAddress: '127.0.0.1', ports: [] };
const PASSED: Answer = { kind: 'passed' };
const REFUSED: Answer = { kind: 'failed', reason: 'refused' };

describe('the probes of a task', () => {
  let clock: ManualClock;
  let answer: Answer | 'hangs';
  let asked: number;
  let underWay: number;
  let over: AbortController;

  beforeEach(() => {
    clock = manualClock();
    answer = PASSED;
    asked = 0;
    underWay = 0;
    over = new AbortController();
  });
  afterEach(() => {
    over.abort();
  });

  const ask: Ask = async (signal) => {
    asked++;
    if (answer !== 'hangs') return answer;
    underWay++;
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve);
    });
    underWay--;
    return { kind: 'failed', reason: (signal.reason as Error).message };
  };
  const deps = (inFlight = 64): HealthDeps => ({ clock, rng: seededRng(1), limiter: limiter({ inFlight }, clock), askerOf: () => ask });
  const probe = (fields: Partial<Probe> = {}): Probe =>
    Probe.create({ check: { case: 'tcp', value: { port: 80 } }, intervalMs: 1000, ...fields });

  const readiness = (fields: Partial<Probe>, known?: Readiness): Readiness[] => {
    const seen: Readiness[] = [];
    watchReadiness(probe(fields), TARGET, known, (now) => seen.push(now), deps(), over.signal);
    return seen;
  };

  it('moves readiness away after the failures in a row, with the reason, and back after the successes', async () => {
    const seen = readiness({ failures: 3, successes: 2 });
    await passUntil(clock, () => seen.at(-1)?.ready === true, 'ready');
    assert.equal(asked, 2);
    answer = REFUSED;
    await passUntil(clock, () => seen.at(-1)?.ready === false, 'not ready');
    assert.deepEqual([asked, seen.at(-1)?.reason], [5, 'refused']);
    answer = PASSED;
    await passUntil(clock, () => seen.at(-1)?.ready === true, 'ready again');
    assert.deepEqual([asked, seen.at(-1)?.reason], [7, '']);
  });

  it('asks a task that has just started more often than its interval', async () => {
    answer = REFUSED;
    const seen = readiness({ intervalMs: 10_000 });
    await passTime(clock, 2000);
    answer = PASSED;
    const waitedMs = await passUntil(clock, () => seen.at(-1)?.ready === true, 'ready');
    assert.ok(waitedMs <= 500, `${waitedMs} ms after 2 s`);
  });

  it('tells a reason that changes all the time only now and then', async () => {
    const seen = readiness({ intervalMs: 100 });
    for (let at = 0; at < 50; at++) {
      answer = { kind: 'failed', reason: `at ${at}` };
      await passTime(clock, 100);
    }
    assert.ok(seen.length >= 1 && seen.length <= 2, `told ${seen.length} times`);
  });

  it('goes on from what an earlier agent knew, whatever the initial delay', async () => {
    answer = REFUSED;
    const known = { ready: true, reason: '', sinceUnixMs: 7 };
    const seen = readiness({ failures: 2, initialDelayMs: 600_000 }, known);
    await passUntil(clock, () => asked === 1, 'the first try', 5000);
    assert.equal(seen.length, 0, 'one failure alone moves nothing');
    await passUntil(clock, () => seen.length === 1, 'not ready', 5000);
    assert.deepEqual([seen[0]?.ready, seen[0]?.reason], [false, 'refused']);
  });

  it('fails liveness once, naming the last reason, and asks no more', async () => {
    const failures: string[] = [];
    answer = REFUSED;
    watchLiveness(probe({ failures: 2 }), TARGET, (reason) => failures.push(reason), deps(), over.signal);
    await passTime(clock, 20_000);
    assert.deepEqual(failures, ['its liveness probe failed 2 times: refused']);
    assert.equal(asked, 2);
  });

  it('waits for the initial delay', async () => {
    watchLiveness(probe({ initialDelayMs: 5000 }), TARGET, () => assert.fail(), deps(), over.signal);
    await passTime(clock, 4900);
    assert.equal(asked, 0);
    await passTime(clock, 3100);
    assert.notEqual(asked, 0);
  });

  it('gives each try a deadline, and a check that ignores it too', async () => {
    const failures: string[] = [];
    answer = 'hangs';
    watchLiveness(probe({ failures: 1, timeoutMs: 300 }), TARGET, (reason) => failures.push(reason), deps(), over.signal);
    const deaf = { ...deps(), askerOf: () => () => new Promise<Answer>(() => undefined) };
    watchLiveness(probe({ failures: 1, timeoutMs: 300 }), TARGET, (reason) => failures.push(reason), deaf, over.signal);
    await passTime(clock, 4000);
    const text = 'its liveness probe failed: no answer within 300ms';
    assert.deepEqual(failures, [text, text]);
  });

  it('ends a start-up probe with its first success', async () => {
    const events: string[] = [];
    answer = REFUSED;
    watchStartUp(probe(), TARGET, startUpEvents(events), deps(), over.signal);
    await passTime(clock, 3000);
    answer = PASSED;
    await passTime(clock, 3000);
    const last = asked;
    await passTime(clock, 3000);
    assert.deepEqual(events, ['waits: refused', 'passed']);
    assert.equal(asked, last);
  });

  it('fails a start-up probe after its failures', async () => {
    const events: string[] = [];
    answer = REFUSED;
    watchStartUp(probe({ failures: 3 }), TARGET, startUpEvents(events), deps(), over.signal);
    await passTime(clock, 10_000);
    assert.deepEqual(events, ['waits: refused', 'failed: its start-up probe failed 3 times: refused']);
  });

  it('asks no more targets at once than its bound, and takes waiting for a turn for no failure', async () => {
    answer = 'hangs';
    const shared = deps(4);
    const failures: string[] = [];
    const many = Array.from({ length: 40 }, () => probe({ failures: 1, timeoutMs: 1000, intervalMs: 100 }));
    for (const each of many) watchLiveness(each, TARGET, (reason) => failures.push(reason), shared, new AbortController().signal);
    await passTime(clock, 500);
    assert.equal(underWay, 4);
    await passTime(clock, 12_000);
    assert.equal(asked, 40);
    assert.equal(failures.length, 40);
  });

  it('asks nothing more once the task is gone', async () => {
    readiness({});
    await passTime(clock, 1500);
    over.abort();
    const last = asked;
    await passTime(clock, 5000);
    assert.deepEqual([asked, clock.waiting], [last, 0]);
  });
});

function startUpEvents(events: string[]): Parameters<typeof watchStartUp>[2] {
  return {
    passed: () => events.push('passed'),
    waits: (reason) => events.push(`waits: ${reason}`),
    failed: (reason) => events.push(`failed: ${reason}`),
  };
}
