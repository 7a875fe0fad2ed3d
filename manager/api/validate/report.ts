// What every check of the input shares: where refused fields are reported to, and the bounds that many fields have in common.

/** Takes one refused field: its path, and what is wrong with it in words that follow the path. */
export type Report = (path: string, message: string) => void;

const DAY_MS = 24 * 60 * 60 * 1000;
/** Few settings of time need more; a week also fits every timer. */
export const MAX_DURATION_MS = 7 * DAY_MS;
const MAX_LABEL_KEY_LENGTH = 256;
const MAX_MAP_BYTES = 128 * 1024;
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;

export function checkDuration(path: string, durationMs: number | undefined, report: Report, maxMs = MAX_DURATION_MS): void {
  if (durationMs === undefined) return;
  if (!Number.isSafeInteger(durationMs) || durationMs < 0) report(path, `${durationMs} is not a number of milliseconds, 0 or more`);
  else if (durationMs > maxMs) report(path, `${durationMs} ms are longer than ${maxMs / DAY_MS} days`);
}

export function checkEnum(path: string, value: number, known: Readonly<Record<string, number>>, report: Report): void {
  if (!Object.values(known).includes(value)) report(path, `the value ${value} is not known to this version`);
}

export function checkCount(path: string, value: number, max: number, report: Report): void {
  if (!Number.isSafeInteger(value) || value < 0) report(path, `${value} is not a whole number, 0 or more`);
  else if (value > max) report(path, `${value} is too many; at most ${max} are taken`);
}

/** Refuses control characters and what is longer than `maxLength`. */
export function checkText(path: string, text: string, maxLength: number, report: Report): void {
  const quoted = JSON.stringify(text.slice(0, 80));
  if (text.length > maxLength) report(path, `${quoted}... is longer than ${maxLength} characters`);
  if (CONTROL.test(text)) report(path, `${quoted} contains a control character`);
}

/** Labels and options of drivers: keys without blanks and "=", all together at most 128 KiB. */
export function checkMap(path: string, map: Readonly<Record<string, string>>, report: Report): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(map)) {
    bytes += key.length + Buffer.byteLength(value);
    const quoted = JSON.stringify(key.slice(0, 80));
    const shown = `${path}[${quoted}]`;
    if (key === '') report(shown, `the key of "=${value.slice(0, 80)}" is empty`);
    else if (key.length > MAX_LABEL_KEY_LENGTH) report(shown, `the key ${quoted}... is longer than ${MAX_LABEL_KEY_LENGTH} characters`);
    else if (/[\s=]/.test(key) || CONTROL.test(key)) report(shown, `the key ${quoted} contains a blank, "=" or a control character`);
    if (value.includes('\0')) report(shown, `the value of ${quoted} contains a NUL character`);
  }
  if (bytes > MAX_MAP_BYTES) report(path, `${bytes} bytes are too large; at most ${MAX_MAP_BYTES} are taken`);
}

export function checkListLength(path: string, list: readonly unknown[], max: number, report: Report): void {
  if (list.length > max) report(path, `${list.length} entries are too many; at most ${max} are taken`);
}
