// --probe, --readiness-probe, --liveness-probe and --startup-probe: a check, then options, as in http:8080/ready,interval=5s,failures=3.
import { type HttpHeader, Probe, Probes } from '../../../proto/index.ts';
import { parseDurationMs } from '../../../lib/units.ts';
import { splitKeyValue } from './csv.ts';
import type { FlagReader } from './flag-reader.ts';

const KINDS = ['readiness', 'liveness', 'startup'] as const;
type Kind = (typeof KINDS)[number];
const MAX_PORT = 65_535;
const MAX_COUNT = 10_000;
const MIN_INTERVAL_MS = 100;
const MAX_DURATION_MS = 7 * 24 * 60 * 60 * 1000;
const OPTIONS = ['interval', 'timeout', 'failures', 'successes', 'initial-delay', 'host', 'header'];
const FORMS = 'tcp:PORT, http:PORT/PATH, https:PORT/PATH, grpc:PORT[/SERVICE] or exec:COMMAND';

/** Undefined: none. */
export function applyProbes(before: Probes | undefined, flags: FlagReader): Probes | undefined {
  const both = flags.text('probe');
  const all = isRemoved('probe', flags) ? Probes.create() : (before ?? Probes.create());
  const common = both === undefined ? undefined : take('--probe', both, 'readiness', flags);
  const probes: Record<Kind, Probe | undefined> = {
    readiness: common ?? all.readiness,
    // What has failed for good does not come back: successes are for readiness.
    liveness: common === undefined ? all.liveness : { ...common, successes: 0 },
    startup: all.startup,
  };
  for (const kind of KINDS) {
    const flag = `${kind}-probe`;
    const text = flags.text(flag);
    if (text !== undefined && both !== undefined && kind !== 'startup')
      flags.problem(`--${flag}`, `contradicts --probe, which sets readiness and liveness; give --readiness-probe and --liveness-probe`);
    if (isRemoved(flag, flags)) probes[kind] = undefined;
    else if (text !== undefined) probes[kind] = take(`--${flag}`, text, kind, flags);
  }
  return KINDS.every((kind) => probes[kind] === undefined) ? undefined : probes;
}

/** `--no-x`, which contradicts `--x`. */
function isRemoved(flag: string, flags: FlagReader): boolean {
  if (flags.toggle(`without-${flag}`) !== false) return false;
  const text = flags.text(flag);
  if (text !== undefined) flags.problem(`--${flag}`, `"${text}" contradicts --no-${flag}`);
  return true;
}

function take(flag: string, text: string, kind: Kind, flags: FlagReader): Probe | undefined {
  const result = parseProbe(text, kind);
  if (typeof result !== 'string') return result;
  flags.problem(flag, `"${text}": ${result}`);
  return undefined;
}

/** The probe that one value means, or what is wrong with it. */
export function parseProbe(text: string, kind: Kind): Probe | string {
  const colon = text.indexOf(':');
  const form = text.slice(0, Math.max(0, colon)).toLowerCase();
  if (!['tcp', 'http', 'https', 'grpc', 'exec'].includes(form)) return `is not ${FORMS}`;
  const { what, options } = splitOptions(text.slice(colon + 1), form === 'exec');
  const check = parseCheck(form, what);
  if (typeof check === 'string') return check;
  let probe = Probe.create({ check });
  for (const option of options) {
    const next = withOption(probe, option, kind);
    if (typeof next === 'string') return next;
    probe = next;
  }
  return probe;
}

/** Of a command, only what looks like options is taken off its end: it may hold commas of its own. */
function splitOptions(rest: string, isCommand: boolean): { readonly what: string; readonly options: readonly string[] } {
  const parts = rest.split(',');
  let first = isCommand ? parts.length : 1;
  while (isCommand && first > 1 && /^ *[a-z-]+=[^\s"'$\]]*$/.test(parts[first - 1] ?? '')) first--;
  return { what: parts.slice(0, first).join(','), options: parts.slice(first) };
}

function parseCheck(form: string, what: string): Probe['check'] | string {
  if (form === 'exec') return parseExec(what);
  const [, portText = '', tail = ''] = /^([^/]*)(.*)$/s.exec(what) ?? [];
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > MAX_PORT) return `"${portText}" is not a port between 1 and ${String(MAX_PORT)}`;
  switch (form) {
    case 'tcp':
      return tail === '' ? { case: 'tcp', value: { port } } : `nothing follows the port of tcp, but "${tail}" does`;
    case 'grpc':
      return { case: 'grpc', value: { port, service: tail.slice(1) } };
    default:
      if (/[^\u0021-\u007e]/.test(tail)) return `the path "${tail}" holds a blank or something beyond ASCII; encode it, as %20`;
      return { case: 'http', value: { port, path: tail === '' ? '/' : tail, tls: form === 'https', host: '', headers: [] } };
  }
}

/** A line for the shell, or as in a Dockerfile a JSON list of words. */
function parseExec(what: string): Probe['check'] | string {
  const line = what.trim();
  if (line === '') return 'names no command after exec:';
  if (!line.startsWith('[')) return { case: 'exec', value: { command: ['/bin/sh', '-c', line] } };
  try {
    const words: unknown = JSON.parse(line);
    if (Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string'))
      return { case: 'exec', value: { command: words } };
  } catch {
    // Said below.
  }
  return 'what begins with "[" must be a JSON list of words, such as exec:["/app","--check"]';
}

function withOption(probe: Probe, option: string, kind: Kind): Probe | string {
  const [key, value = ''] = splitKeyValue(option.trim());
  switch (key) {
    case 'interval':
      return duration(key, value, MIN_INTERVAL_MS, (intervalMs) => ({ ...probe, intervalMs }));
    case 'timeout':
      return duration(key, value, 1, (timeoutMs) => ({ ...probe, timeoutMs }));
    case 'initial-delay':
      return duration(key, value, 0, (initialDelayMs) => ({ ...probe, initialDelayMs }));
    case 'failures':
      return count(key, value, (failures) => ({ ...probe, failures }));
    case 'successes':
      if (kind !== 'readiness') return `successes is for readiness: a ${kind} probe that has failed does not pass again`;
      return count(key, value, (successes) => ({ ...probe, successes }));
    case 'host':
      return withHttp(probe, key, (http) => (value === '' ? 'host= names no host' : { ...http, host: value }));
    case 'header': {
      const header = parseHeader(value);
      return withHttp(probe, key, (http) => (typeof header === 'string' ? header : { ...http, headers: [...http.headers, header] }));
    }
    default: {
      const quote = probe.check?.case === 'exec' ? '; a command that ends like this goes in as exec:["/bin/sh","-c","..."]' : '';
      return `"${key}" is not one of ${OPTIONS.join(', ')}${quote}`;
    }
  }
}

type Http = Extract<Probe['check'], { case: 'http' }>['value'];

function withHttp(probe: Probe, key: string, change: (http: Http) => Http | string): Probe | string {
  if (probe.check?.case !== 'http') return `${key} is for http and https`;
  const value = change(probe.check.value);
  return typeof value === 'string' ? value : { ...probe, check: { case: 'http', value } };
}

function parseHeader(text: string): HttpHeader | string {
  const match = /^([^:\s]+):\s*(.*)$/s.exec(text);
  return match === null ? `"${text}" is not a header such as X-Probe:1` : { name: match[1] ?? '', value: match[2] ?? '' };
}

function duration(key: string, text: string, minMs: number, make: (ms: number) => Probe): Probe | string {
  const ms = parseDurationMs(text);
  if (ms === undefined) return `${key}=${text} is not a duration such as 500ms, 10s or 1m30s`;
  if (ms < minMs) return `${key}=${text} is less than the least possible, ${String(minMs)}ms`;
  return ms <= MAX_DURATION_MS ? make(Math.round(ms)) : `${key}=${text} is longer than 7 days`;
}

function count(key: string, text: string, make: (count: number) => Probe): Probe | string {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= MAX_COUNT ? make(value) : `${key}=${text} is not a number from 1 to ${String(MAX_COUNT)}`;
}
