// --health-* and --no-healthcheck.
import { HealthCheck } from '../../../proto/index.ts';
import type { FlagReader } from './flag-reader.ts';

/** Undefined: the image's own check, as it is. */
export function applyHealth(before: HealthCheck | undefined, flags: FlagReader): HealthCheck | undefined {
  const command = flags.text('health-cmd');
  const intervalMs = flags.durationMs('health-interval');
  const timeoutMs = flags.durationMs('health-timeout');
  const retries = flags.count('health-retries');
  const startPeriodMs = flags.durationMs('health-start-period');
  const given = [command, intervalMs, timeoutMs, retries, startPeriodMs].some((value) => value !== undefined);
  const off = flags.toggle('healthcheck') === false;
  if (off && given) flags.problem('--no-healthcheck', 'contradicts the --health- flags');
  if (off) return HealthCheck.create({ test: ['NONE'] });
  const base = before ?? HealthCheck.create();
  const again = flags.toggle('healthcheck') === true || given;
  const test = command === undefined ? (again && base.test[0] === 'NONE' ? [] : base.test) : command === '' ? [] : ['CMD-SHELL', command];
  const after: HealthCheck = {
    test,
    intervalMs: intervalMs ?? base.intervalMs,
    timeoutMs: timeoutMs ?? base.timeoutMs,
    retries: retries ?? base.retries,
    startPeriodMs: startPeriodMs ?? base.startPeriodMs,
  };
  return isEmpty(after) ? undefined : after;
}

function isEmpty(health: HealthCheck): boolean {
  return (
    health.test.length === 0 && health.intervalMs === 0 && health.timeoutMs === 0 && health.retries === 0 && health.startPeriodMs === 0
  );
}
