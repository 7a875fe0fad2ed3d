// Values of flags that many verbs take: filters, moments, durations.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { parseDurationMs } from '../../lib/units.ts';
import { type Filter } from '../../proto/index.ts';

/** KEY=VALUE several times over; which keys there are is the manager's to say. Throws `invalid_argument` with every malformed one. */
export function parseFilters(texts: readonly string[] = []): readonly Filter[] {
  const problems: FieldProblem[] = [];
  const byKey = new Map<string, string[]>();
  for (const text of texts) {
    const equals = text.indexOf('=');
    if (equals < 1) {
      problems.push({ path: '--filter', message: `"${text}" is not KEY=VALUE` });
      continue;
    }
    const key = text.slice(0, equals).trim().toLowerCase();
    byKey.set(key, [...(byKey.get(key) ?? []), text.slice(equals + 1).trim()]);
  }
  if (problems.length > 0) throw ShoalError.invalid('wrong filters', problems);
  return [...byKey].map(([key, values]) => ({ key, values }));
}

/** Unix milliseconds of a date ("2026-01-02T13:23:37Z", "2026-01-02"), Unix seconds, or a duration before now ("42m"). Throws `invalid_argument`. */
export function parseMoment(flag: string, text: string, nowUnixMs: number): number {
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined && text !== '0') return Math.round(nowUnixMs - durationMs);
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  const dateMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(dateMs)) return dateMs;
  throw ShoalError.invalid('wrong time', [
    { path: flag, message: `"${text}" is neither a time such as 2026-01-02T13:23:37Z nor a duration such as 42m` },
  ]);
}

/** A point in a history: a revision (a whole number), or a moment as `parseMoment` takes it. Throws `invalid_argument`. */
export function parsePoint(flag: string, text: string, nowUnixMs: number): { readonly revision: number; readonly unixMs: number } {
  // Unix seconds of this century have ten digits; a store that has come so far has counted for decades.
  if (/^\d{1,9}$/.test(text)) return { revision: Number(text), unixMs: 0 };
  try {
    return { revision: 0, unixMs: parseMoment(flag, text, nowUnixMs) };
  } catch {
    const message = `"${text}" is neither a revision such as 1234, nor a time such as 2026-01-02T13:23:37Z, nor a duration such as 42m`;
    throw ShoalError.invalid('wrong time', [{ path: flag, message }]);
  }
}

/** Milliseconds; undefined where the flag was not given. Throws `invalid_argument`. */
export function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined && durationMs > 0) return durationMs;
  throw ShoalError.invalid('wrong timeout', [{ path: '--timeout', message: `"${text}" is not a duration such as 30s or 5m` }]);
}

/** As Docker. */
const DEFAULT_VERIFY_MS = 5000;
const MAX_VERIFY_MS = 60 * 60 * 1000;

/** Milliseconds that a service has to stay up to count as converged. Throws `invalid_argument`. */
export function parseVerify(text: string | undefined): number {
  if (text === undefined) return DEFAULT_VERIFY_MS;
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined && durationMs >= 0 && durationMs <= MAX_VERIFY_MS) return Math.round(durationMs);
  throw ShoalError.invalid('wrong time', [{ path: '--verify', message: `"${text}" is not a duration such as 5s, from 0s to 1h` }]);
}
