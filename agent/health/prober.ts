// Asks for one probe of one task again and again, each time with a deadline and within the agent's bound, and tells each verdict.
import { type Clock, sleep } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Rng } from '../../lib/rng.ts';
import { formatDurationMs } from '../../lib/units.ts';
import type { Limiter } from '../worker/limiter.ts';
import type { Ask } from './ask.ts';
import type { ProbeRules } from './rules.ts';
import { steadyDeadline } from './steady-deadline.ts';
import { type Answer, judge, type Verdict } from './verdict.ts';

export interface ProberDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Of all probes of the agent. Waiting for a turn counts as nothing: the deadline begins with it. */
  readonly limiter: Limiter;
}

export interface ProberOptions {
  readonly ask: Ask;
  readonly rules: ProbeRules;
  readonly initially: Verdict;
  readonly firstDelayMs: number;
  /** Asked more often at first, until it has passed once: a replica that has just started shall not wait a whole interval. */
  readonly isEager: boolean;
  /** After each answer. */
  readonly onVerdict: (verdict: Verdict) => void;
}

/** Intervals differ by up to this much either way, so that the probes of many tasks do not stay in step. */
const JITTER = 0.1;
/** The share of the time since the first try that an eager probe waits: it is late by no more than that. */
const EAGER_SHARE = 0.1;
const EAGER_MIN_MS = 100;
/** A check that does not react to its signal counts as without an answer. */
const PATIENCE_MS = 1000;

/** Until the signal aborts; never rejects. */
export async function followProbe(options: ProberOptions, deps: ProberDeps, signal: AbortSignal): Promise<void> {
  const { rules } = options;
  const { clock, rng, limiter } = deps;
  const hasEnded = (): boolean => signal.aborted;
  let verdict = options.initially;
  let hasPassed = verdict.state === 'passing';
  try {
    await sleep(clock, options.firstDelayMs, signal);
    const beganMs = clock.nowMs();
    for (;;) {
      const answer = await limiter.run(0, signal, () => tryOnce(options.ask, rules.timeoutMs, clock, signal));
      if (hasEnded()) return;
      verdict = judge(verdict, answer, rules);
      hasPassed ||= verdict.state === 'passing';
      options.onVerdict(verdict);
      const eagerMs = Math.max(EAGER_MIN_MS, (clock.nowMs() - beganMs) * EAGER_SHARE);
      const delayMs = options.isEager && !hasPassed ? Math.min(rules.intervalMs, eagerMs) : rules.intervalMs;
      await sleep(clock, delayMs * (1 - JITTER + 2 * JITTER * rng.next()), signal);
    }
  } catch (error) {
    if (!hasEnded()) throw error;
  }
}

async function tryOnce(ask: Ask, timeoutMs: number, clock: Clock, lifetime: AbortSignal): Promise<Answer> {
  const controller = new AbortController();
  const timedOut = new ShoalError('deadline_exceeded', `no answer within ${formatDurationMs(timeoutMs)}`);
  let abandon: (answer: Answer) => void = () => undefined;
  const abandoned = new Promise<Answer>((resolve) => {
    abandon = resolve;
  });
  let timer = steadyDeadline(clock, timeoutMs, () => {
    timer = clock.after(PATIENCE_MS, () => abandon({ kind: 'failed', reason: timedOut.message }));
    controller.abort(timedOut);
  });
  const onEnd = (): void => {
    controller.abort(lifetime.reason);
    abandon({ kind: 'unknown', reason: 'no longer asked' });
  };
  lifetime.addEventListener('abort', onEnd, { once: true });
  try {
    return await Promise.race([ask(controller.signal), abandoned]);
  } finally {
    timer.cancel();
    lifetime.removeEventListener('abort', onEnd);
  }
}
