// The probes of one task: the start-up probe while it is STARTING, readiness and liveness while it is RUNNING.
import type { Probe, Readiness } from '../../proto/index.ts';
import { anySignal } from '../../lib/any-signal.ts';
import { randomInt } from '../../lib/rng.ts';
import type { AskerOf } from './ask.ts';
import { followProbe, type ProberDeps } from './prober.ts';
import { type ProbeKind, probeName, type ProbeRules, rulesOf } from './rules.ts';
import type { ProbeTarget } from './target.ts';
import { NO_VERDICT, type Verdict } from './verdict.ts';

export interface HealthDeps extends ProberDeps {
  readonly askerOf: AskerOf;
}

/** `state` is another than before, or the reason why it does not pass. */
type OnVerdict = (verdict: Verdict, rules: ProbeRules) => void;

/** A reason that changes with each try (a time in it, say) is told this often: each telling is a write to the cluster's store. */
const REASON_PERIOD_MS = 10_000;
/** The probes of tasks that an agent finds at its start begin within this time. */
const SPREAD_MS = 2000;

const MAX_REASON_LENGTH = 500;
/** It passes, but not in a row as long as it must. */
const NOT_YET = 'its readiness probe has not passed often enough yet';

export interface StartUpEvents {
  readonly passed: () => void;
  /** Not yet, and why. */
  readonly waits: (reason: string) => void;
  readonly failed: (reason: string) => void;
}

export function watchStartUp(probe: Probe, target: ProbeTarget, events: StartUpEvents, deps: HealthDeps, signal: AbortSignal): void {
  const over = new AbortController();
  const onVerdict: OnVerdict = (verdict, rules) => {
    switch (verdict.state) {
      case 'passing':
        over.abort();
        events.passed();
        return;
      case 'failing':
        over.abort();
        events.failed(failureText('startup', verdict, rules));
        return;
      case 'unknown':
        events.waits(verdict.reason);
        return;
    }
  };
  follow('startup', probe, target, { initially: NO_VERDICT }, onVerdict, deps, anySignal([signal, over.signal]));
}

/** `failed` is called once, `signal` aborts or not. */
export function watchLiveness(
  probe: Probe,
  target: ProbeTarget,
  failed: (reason: string) => void,
  deps: HealthDeps,
  signal: AbortSignal,
): void {
  const over = new AbortController();
  const onVerdict: OnVerdict = (verdict, rules) => {
    if (verdict.state !== 'failing') return;
    over.abort();
    failed(failureText('liveness', verdict, rules));
  };
  // With the phase of its own: what started together need not be asked together.
  const spreadMs = randomInt(deps.rng, Math.min(SPREAD_MS, rulesOf('liveness', probe).intervalMs) + 1);
  follow('liveness', probe, target, { initially: NO_VERDICT, spreadMs }, onVerdict, deps, anySignal([signal, over.signal]));
}

/** Not asked yet, and so not ready. */
export function firstReadiness(wallMs: number): Readiness {
  return { ready: false, reason: 'its readiness probe has not answered yet', sinceUnixMs: wallMs };
}

/** Calls back when readiness is another; goes on from `known`, which an earlier agent left (then the first try is not hurried). */
export function watchReadiness(
  probe: Probe,
  target: ProbeTarget,
  known: Readiness | undefined,
  changed: (readiness: Readiness) => void,
  deps: HealthDeps,
  signal: AbortSignal,
): void {
  const { clock, rng } = deps;
  let last = known ?? firstReadiness(clock.wallMs());
  const onVerdict: OnVerdict = (verdict) => {
    const ready = verdict.state === 'passing';
    const reason = ready ? '' : (verdict.reason || NOT_YET).slice(0, MAX_REASON_LENGTH);
    if (ready === last.ready && reason === last.reason) return;
    last = { ready, reason, sinceUnixMs: ready === last.ready ? last.sinceUnixMs : clock.wallMs() };
    changed(last);
  };
  const wasReady = known?.ready === true;
  const initially: Verdict = wasReady ? { ...NO_VERDICT, state: 'passing' } : NO_VERDICT;
  const spreadMs = wasReady ? randomInt(rng, Math.min(SPREAD_MS, rulesOf('readiness', probe).intervalMs) + 1) : 0;
  follow('readiness', probe, target, { initially, spreadMs, isAdopted: wasReady }, onVerdict, deps, signal);
}

interface Beginning {
  readonly initially: Verdict;
  readonly spreadMs?: number;
  /** Its initial delay is behind it. */
  readonly isAdopted?: boolean;
}

function follow(
  kind: ProbeKind,
  probe: Probe,
  target: ProbeTarget,
  { initially, spreadMs = 0, isAdopted = false }: Beginning,
  onVerdict: OnVerdict,
  deps: HealthDeps,
  signal: AbortSignal,
): void {
  const rules = rulesOf(kind, probe);
  const { clock } = deps;
  let told: Verdict | undefined;
  let toldAtMs = 0;
  void followProbe(
    {
      ask: deps.askerOf(probe, target, signal),
      rules,
      initially,
      firstDelayMs: (isAdopted ? 0 : rules.initialDelayMs) + spreadMs,
      isEager: kind === 'readiness',
      onVerdict(verdict) {
        const isNews = verdict.state !== told?.state;
        const isDue = verdict.reason !== told?.reason && (told?.reason === '' || clock.nowMs() - toldAtMs >= REASON_PERIOD_MS);
        if (!isNews && !isDue) return;
        told = verdict;
        toldAtMs = clock.nowMs();
        onVerdict(verdict, rules);
      },
    },
    deps,
    signal,
  );
}

function failureText(kind: ProbeKind, verdict: Verdict, rules: ProbeRules): string {
  const times = rules.failures === 1 ? '' : ` ${String(rules.failures)} times`;
  return `its ${probeName(kind)} probe failed${times}: ${verdict.reason}`;
}
