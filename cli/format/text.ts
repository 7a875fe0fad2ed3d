// Small pieces of text that several resources share: shortened ids, elided errors, "3 minutes ago", "Running".

const SHORT_ID_LENGTH = 12;

export function shortId(id: string): string {
  return id.slice(0, SHORT_ID_LENGTH);
}

/** At most `length` characters, the last one an ellipsis where something was cut. */
export function ellipsis(text: string, length: number): string {
  const characters = Array.from(text);
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
}

/** "nginx:1.25" from "nginx:1.25@sha256:..."; an image named by digest alone stays as it is. */
export function withoutDigest(image: string): string {
  const at = image.indexOf('@');
  if (at === -1) return image;
  const name = image.slice(0, at);
  return name.slice(name.lastIndexOf('/') + 1).includes(':') ? name : image;
}

/** "RUNNING" -> "Running", "ROLLBACK_STARTED" -> "Rollback_started". */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1).toLowerCase();
}

/** With one full stop, whatever it ends in: what nodes and managers say is text of its own or a part of another. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Docker's words for how long something took: "Less than a second", "About a minute", "3 hours". */
export function humanDuration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(durationMs / 3_600_000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${String(seconds)} seconds`;
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${String(minutes)} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${String(hours)} hours`;
  if (hours < 24 * 7 * 2) return `${String(Math.floor(hours / 24))} days`;
  if (hours < 24 * 30 * 2) return `${String(Math.floor(hours / 24 / 7))} weeks`;
  if (hours < 24 * 365 * 2) return `${String(Math.floor(hours / 24 / 30))} months`;
  return `${String(Math.floor(hours / 24 / 365))} years`;
}

/** "3 minutes ago"; a time that the other host's clock puts into the future counts as now. */
export function ago(thenUnixMs: number, nowUnixMs: number): string {
  return `${humanDuration(Math.max(0, nowUnixMs - thenUnixMs))} ago`;
}

/** RFC 3339 with milliseconds; Go's zero time for 0. */
export function timestamp(unixMs: number): string {
  return unixMs === 0 ? '0001-01-01T00:00:00Z' : new Date(unixMs).toISOString();
}
