// When a target that does not answer is passed over, and for how long. Pure.
import { errnoOf } from '../../lib/errors.ts';
import { type Rng } from '../../lib/rng.ts';

/** Connect failures in a row before a target is passed over: one may be a lost packet or a full backlog. */
const EJECT_AFTER_FAILURES = 2;
/** The first time out; doubled by each that follows without a success between them. */
const FIRST_EJECTION_MS = 1000;
/** Longest time out: how late, at worst, a node that came back gets its share again. */
const LONGEST_EJECTION_MS = 30_000;

export interface Health {
  /** Since the last success. */
  readonly failures: number;
  readonly ejections: number;
  /** On the monotonic clock; passed over before it. */
  readonly ejectedUntilMs: number;
}

export const HEALTHY: Health = { failures: 0, ejections: 0, ejectedUntilMs: -Infinity };

/** After one more connect failure. Once out, each failure after the return puts it out again at once, for longer. */
export function afterFailure(health: Health, nowMs: number, rng: Rng): Health {
  const failures = health.failures + 1;
  if (failures < EJECT_AFTER_FAILURES) return { ...health, failures };
  // Connections that were under way when it was put out fail too; they say nothing new.
  if (nowMs < health.ejectedUntilMs) return { ...health, failures };
  const wholeMs = Math.min(LONGEST_EJECTION_MS, FIRST_EJECTION_MS * 2 ** health.ejections);
  return { failures, ejections: health.ejections + 1, ejectedUntilMs: nowMs + wholeMs * (0.75 + rng.next() / 4) };
}

/** Failures to connect that are this host's own: they say nothing about the replica. */
const OWN_FAILURES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

export function isReplicasFault(error: Error): boolean {
  return !OWN_FAILURES.has(errnoOf(error) ?? '');
}
