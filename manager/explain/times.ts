// Times in words. Wall clocks of several hosts are compared here: what comes out is for people, "about".
import { formatDurationMs } from '../../lib/units.ts';

/** " for 3m" (with a blank before); empty where the time is not known. */
export function agoText(sinceUnixMs: number, wallMs: number): string {
  return sinceUnixMs === 0 ? '' : ` for ${aboutText(Math.max(0, wallMs - sinceUnixMs))}`;
}

/** "3s", "1m30s", "2h": whole seconds, from an hour on whole minutes. */
export function aboutText(durationMs: number): string {
  const unit = durationMs >= 3_600_000 ? 60_000 : 1000;
  return formatDurationMs(Math.max(unit, Math.round(durationMs / unit) * unit))
    .replace(/m0s$/, 'm')
    .replace(/h0m$/, 'h');
}
