// Durations and sizes as people write them: Go's durations ("1m30s", "500ms") and Docker's sizes ("64m", "1.5GiB").

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;

/** Milliseconds, or undefined where `text` is not a duration. "0" is one; a number without a unit is not. Never negative. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!DURATION.test(text)) return undefined;
  let totalMs = 0;
  for (const [, number = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    totalMs += Number(number) * (DURATION_UNITS_MS[unit] ?? 0);
  }
  return totalMs;
}

/** Go's way of printing: 90,000 is "1m30s", 500 is "500ms", 0 is "0s". */
export function formatDurationMs(durationMs: number): string {
  if (durationMs === 0) return '0s';
  if (durationMs < 1000) return `${String(durationMs)}ms`;
  const hours = Math.floor(durationMs / 3_600_000);
  const minutes = Math.floor((durationMs % 3_600_000) / 60_000);
  const seconds = (durationMs % 60_000) / 1000;
  return `${hours > 0 ? `${String(hours)}h` : ''}${hours > 0 || minutes > 0 ? `${String(minutes)}m` : ''}${String(seconds)}s`;
}

const SIZE = /^(\d+(?:\.\d+)?)\s*(b|[kmgtp]i?b?)?$/i;
const SIZE_POWERS = 'bkmgtp';

/** Bytes, or undefined where `text` is not a size. Units are powers of 1024, as in Docker: "64m", "64MB" and "64MiB" are the same. */
export function parseSizeBytes(text: string): number | undefined {
  const match = SIZE.exec(text.trim());
  if (match === null) return undefined;
  const unit = (match[2] ?? 'b').charAt(0).toLowerCase();
  return Math.floor(Number(match[1]) * 1024 ** SIZE_POWERS.indexOf(unit));
}

/** "64MiB", "1.5GiB", "512B": at most three significant places after the point. */
export function formatSizeBytes(sizeBytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${String(Number(value.toFixed(3)))}${units[unit] ?? ''}`;
}
