// How often a probe asks and how many answers make a verdict, with the defaults filled in.
import type { Probe } from '../../proto/index.ts';

export type ProbeKind = 'readiness' | 'liveness' | 'startup';

export interface ProbeRules {
  readonly intervalMs: number;
  /** Of one try. */
  readonly timeoutMs: number;
  /** In a row that make it failing. */
  readonly failures: number;
  /** In a row that make it passing. */
  readonly successes: number;
  readonly initialDelayMs: number;
}

/** Kubernetes' defaults, which people know; a start-up is followed closely, for a minute. */
const DEFAULTS: Readonly<Record<ProbeKind, Pick<ProbeRules, 'intervalMs' | 'failures'>>> = {
  readiness: { intervalMs: 10_000, failures: 3 },
  liveness: { intervalMs: 10_000, failures: 3 },
  startup: { intervalMs: 1000, failures: 60 },
};
const TIMEOUT_MS = 1000;

export function rulesOf(kind: ProbeKind, probe: Probe): ProbeRules {
  return {
    intervalMs: probe.intervalMs || DEFAULTS[kind].intervalMs,
    timeoutMs: probe.timeoutMs || TIMEOUT_MS,
    failures: probe.failures || DEFAULTS[kind].failures,
    // What has failed for good does not come back: one success is enough for the two that end a task.
    successes: kind === 'readiness' ? probe.successes || 1 : 1,
    initialDelayMs: probe.initialDelayMs,
  };
}

/** As people call it. */
export function probeName(kind: ProbeKind): string {
  return kind === 'startup' ? 'start-up' : kind;
}
