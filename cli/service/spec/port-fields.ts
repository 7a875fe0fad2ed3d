// The long form of --publish: published=80,target=3000,protocol=http,host=app.example.com,path=/api and what else the mesh can be told of a port.
import { isIP } from 'node:net';
import { DataPath, HttpRule, IngressSettings, PortMode, PortProtocol, PortSpec, ProxyProtocol } from '../../../proto/index.ts';
import { parseDurationMs } from '../../../lib/units.ts';
import { parseCsv, splitKeyValue } from './csv.ts';

const PROTOCOLS: Readonly<Record<string, PortProtocol>> = { tcp: PortProtocol.TCP, udp: PortProtocol.UDP, http: PortProtocol.HTTP };
const MODES: Readonly<Record<string, PortMode>> = { ingress: PortMode.INGRESS, host: PortMode.HOST };
const DATA_PATHS: Readonly<Record<string, DataPath>> = {
  auto: DataPath.PATH_AUTO,
  proxy: DataPath.PATH_PROXY,
  kernel: DataPath.PATH_KERNEL,
};
const PROXY_PROTOCOLS: Readonly<Record<string, ProxyProtocol>> = {
  none: ProxyProtocol.PROXY_PROTOCOL_NONE,
  v1: ProxyProtocol.PROXY_PROTOCOL_V1,
  v2: ProxyProtocol.PROXY_PROTOCOL_V2,
};
const SWITCH: Readonly<Record<string, boolean>> = { on: true, off: false, true: true, false: false };
export const MAX_PORT = 65_535;
const MAX_UINT32 = 2 ** 32 - 1;

export interface ReadPort {
  readonly port: PortSpec;
  /** The fields that were given, "rule" for the path of requests. */
  readonly given: ReadonlySet<string>;
}

/** Of all requests, unless a host or path says which. */
export function newPort(protocol: PortProtocol): PortSpec {
  const port = PortSpec.create({ protocol });
  return protocol === PortProtocol.HTTP ? withRule(port, {}) : port;
}

/** All that is wrong with it is said in words. `needsTarget`: it is a whole port, no part of one. */
export function parsePortFields(text: string, needsTarget: boolean): ReadPort | string {
  const fields = parseCsv(text);
  if (fields === undefined) return `"${text}": a quote is not closed`;
  const given = new Set<string>();
  const unknown: string[] = [];
  const problems: string[] = [];
  let port = PortSpec.create();
  for (const field of fields) {
    const [name, value = ''] = splitKeyValue(field.trim());
    const key = name.toLowerCase();
    const isRule = key === 'path' && value.startsWith('/');
    const read = isRule ? readRulePath : FIELDS[key];
    if (read === undefined) {
      unknown.push(`"${name}"`);
      continue;
    }
    const kind = isRule ? 'rule' : key;
    if (given.has(kind) && key !== 'trusted') problems.push(`${name} is given twice`);
    given.add(kind);
    const changed = read(port, value);
    if (typeof changed === 'string') problems.push(changed);
    else port = changed;
  }
  if (needsTarget && !given.has('target')) problems.push('names no target port: target=80');
  if (unknown.length > 0)
    problems.push(`${unknown.join(', ')} ${unknown.length === 1 ? 'is' : 'are'} not one of ${Object.keys(FIELDS).join(', ')}`);
  if (problems.length > 0) return `"${text}": ${problems.join('; ')}`;
  return { port: port.protocol === PortProtocol.HTTP ? withRule(port, {}) : port, given };
}

/** What is changed by the value, or what is wrong with it. */
type ReadField = (port: PortSpec, value: string) => PortSpec | string;

const FIELDS: Readonly<Record<string, ReadField>> = {
  published: (port, value) => withPort(value, 0, (publishedPort) => ({ ...port, publishedPort })),
  target: (port, value) => withPort(value, 1, (targetPort) => ({ ...port, targetPort })),
  protocol: (port, value) => chosen(PROTOCOLS, value, 'a protocol', (protocol) => ({ ...port, protocol })),
  mode: (port, value) => chosen(MODES, value, 'a mode', (mode) => ({ ...port, mode })),
  name: (port, name) => ({ ...port, name }),
  host: (port, value) => withRule(port, { host: value.toLowerCase() }),
  path: (port, value) =>
    chosen(DATA_PATHS, value, 'a data path, nor a path of requests, which begins with "/"', (dataPath) => withSettings(port, { dataPath })),
  'proxy-protocol': (port, value) =>
    chosen(PROXY_PROTOCOLS, value, 'a version of the PROXY protocol', (proxyProtocol) => withSettings(port, { proxyProtocol })),
  trusted: (port, value) => withSettings(port, { trustedSources: [...(port.ingress?.trustedSources ?? []), ...addressRanges(value)] }),
  'max-connections': (port, value) => withCount(value, (maxConnections) => withSettings(port, { maxConnections })),
  'connect-timeout': (port, value) => withDuration(value, (connectTimeoutMs) => withSettings(port, { connectTimeoutMs })),
  'idle-timeout': (port, value) => withDuration(value, (idleTimeoutMs) => withSettings(port, { idleTimeoutMs })),
  'request-timeout': (port, value) => withDuration(value, (requestTimeoutMs) => withSettings(port, { requestTimeoutMs })),
  'response-timeout': (port, value) => withDuration(value, (responseTimeoutMs) => withSettings(port, { responseTimeoutMs })),
  sticky: (port, stickyCookie) => withSettings(port, { stickyCookie }),
  tls: (port, value) => chosen(SWITCH, value, 'a switch', (tls) => withSettings(port, { tls })),
  'access-log': readAccessLog,
  hold: (port, value) => withDuration(value, (holdMs) => withSettings(port, { holdMs })),
  'max-held': (port, value) => withCount(value, (maxHeld) => withSettings(port, { maxHeld })),
};

export function parseProtocol(text: string): PortProtocol | string {
  return PROTOCOLS[text.toLowerCase()] ?? notOne(text, 'a protocol', PROTOCOLS);
}

function chosen<T>(choices: Readonly<Record<string, T>>, text: string, what: string, make: (value: T) => PortSpec): PortSpec | string {
  const key = text.toLowerCase();
  const value = Object.hasOwn(choices, key) ? choices[key] : undefined;
  return value === undefined ? notOne(text, what, choices) : make(value);
}

function notOne(text: string, what: string, choices: Readonly<Record<string, unknown>>): string {
  const words = Object.keys(choices);
  return `"${text}" is not ${what}: ${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

function withSettings(port: PortSpec, changes: Partial<IngressSettings>): PortSpec {
  return { ...port, ingress: IngressSettings.create({ ...port.ingress, ...changes }) };
}

function withRule(port: PortSpec, changes: Partial<HttpRule>): PortSpec {
  return withSettings(port, { http: HttpRule.create({ path: '/', ...port.ingress?.http, ...changes }) });
}

/** "/api/" and "/api" are one path. */
function readRulePath(port: PortSpec, value: string): PortSpec {
  return withRule(port, { path: value.replace(/(?<=.)\/$/, '') });
}

/** "10.0.0.0/8;fd00::/8"; an address alone is a range of one. */
function addressRanges(value: string): readonly string[] {
  return value.split(';').map((range) => {
    const text = range.trim();
    const family = isIP(text);
    return family === 0 ? text : `${text}/${family === 4 ? '32' : '128'}`;
  });
}

function readAccessLog(port: PortSpec, value: string): PortSpec | string {
  const match = /^(\d{1,3}(?:\.\d)?)%$/.exec(value);
  const permille = match === null ? NaN : Math.round(Number(match[1]) * 10);
  if (!(permille <= 1000)) return `"${value}" is not a share of the requests such as 1%, 0.1% or 100%`;
  return withSettings(port, { accessLogPermille: permille });
}

function withCount(text: string, make: (count: number) => PortSpec): PortSpec | string {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  return count <= MAX_UINT32 ? make(count) : `"${text}" is not a number such as 1000`;
}

function withDuration(text: string, make: (durationMs: number) => PortSpec): PortSpec | string {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined) return `"${text}" is not a duration such as 500ms, 10s or 1m30s`;
  return durationMs <= MAX_UINT32 ? make(Math.round(durationMs)) : `${text} is longer than 49 days`;
}

function withPort(text: string, min: number, make: (port: number) => PortSpec): PortSpec | string {
  if (!/^\d{1,9}$/.test(text)) return `"${text}" is not a port`;
  const port = Number(text);
  return port < min || port > MAX_PORT ? `port ${text} is not between 1 and ${String(MAX_PORT)}` : make(port);
}
