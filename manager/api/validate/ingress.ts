// How the mesh shall serve one published port: which settings go with which protocol, and their ranges.
import { isIP } from 'node:net';
import { DataPath, enumName, type IngressSettings, PortMode, PortProtocol, type PortSpec, ProxyProtocol } from '../../../proto/index.ts';
import { checkHttpRule } from './http-rule.ts';
import { checkEnum, checkListLength, MAX_DURATION_MS, type Report } from './report.ts';

const MAX_TRUSTED = 100;
const MAX_CONNECTIONS = 1_000_000;
/** Each waits with a socket of its own. */
const MAX_HELD = 100_000;
const MAX_PERMILLE = 1000;
const HOUR_MS = 3_600_000;
/** RFC 6265's token. */
const COOKIE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

type Setting = Exclude<keyof IngressSettings, 'http' | 'dataPath'>;

const { TCP, HTTP } = PortProtocol;
/** What each is for; the rest is for all. A setting that would do nothing is refused rather than passed over. */
const PROTOCOLS: Readonly<Partial<Record<Setting, readonly PortProtocol[]>>> = {
  proxyProtocol: [TCP],
  trustedSources: [TCP, HTTP],
  connectTimeoutMs: [TCP, HTTP],
  requestTimeoutMs: [HTTP],
  responseTimeoutMs: [HTTP],
  stickyCookie: [HTTP],
  tls: [HTTP],
  accessLogPermille: [HTTP],
  holdMs: [TCP, HTTP],
  maxHeld: [TCP, HTTP],
};
const RANGES: readonly (readonly [setting: Setting, min: number, max: number])[] = [
  ['maxConnections', 1, MAX_CONNECTIONS],
  ['connectTimeoutMs', 10, 60_000],
  ['idleTimeoutMs', 100, MAX_DURATION_MS],
  ['requestTimeoutMs', 100, HOUR_MS],
  ['responseTimeoutMs', 100, MAX_DURATION_MS],
  ['accessLogPermille', 0, MAX_PERMILLE],
  // 0: nobody waits.
  ['holdMs', 0, 600_000],
  ['maxHeld', 0, MAX_HELD],
];

export function checkIngress(at: string, port: PortSpec, report: Report): void {
  const { ingress, protocol, mode } = port;
  const path = `${at}.ingress`;
  if (mode === PortMode.HOST) {
    if (protocol === HTTP) report(`${at}.protocol`, 'http is not taken in host mode, where no mesh reads the requests: use tcp');
    if (ingress !== undefined) report(path, 'settings of the mesh are not taken in host mode, which leads past it');
    return;
  }
  if (protocol === HTTP && ingress?.http === undefined)
    report(`${path}.http`, 'is missing: http ports need a host, which may be empty, and a path, such as "/"');
  if (ingress === undefined) return;
  if (ingress.http !== undefined) {
    if (protocol !== HTTP)
      report(`${path}.http`, `a host or path of requests is not taken with protocol ${protocolName(protocol)}, only with http`);
    checkHttpRule(`${path}.http`, ingress.http, report);
  }
  checkProtocols(path, ingress, protocol, report);
  for (const [setting, min, max] of RANGES) checkNumber(path, setting, ingress[setting], min, max, report);
  checkTrusted(`${path}.trustedSources`, ingress.trustedSources, report);
  if (ingress.stickyCookie !== '' && !COOKIE.test(ingress.stickyCookie))
    report(
      `${path}.stickyCookie`,
      `${JSON.stringify(ingress.stickyCookie.slice(0, 80))} is not the name of a cookie: letters, digits and !#$%&'*+.^_\`|~- up to 64`,
    );
  checkEnum(`${path}.proxyProtocol`, ingress.proxyProtocol, ProxyProtocol, report);
  checkDataPath(path, ingress, protocol, report);
}

function checkProtocols(path: string, ingress: IngressSettings, protocol: PortProtocol, report: Report): void {
  for (const [setting, protocols] of Object.entries(PROTOCOLS) as [Setting, readonly PortProtocol[]][]) {
    if (protocols.includes(protocol) || !isSet(ingress[setting], setting)) continue;
    const taken = protocols.map(protocolName).join(' or ');
    report(
      `${path}.${setting}`,
      `${shown(setting, ingress[setting])} is not taken with protocol ${protocolName(protocol)}, only with ${taken}`,
    );
  }
}

function shown(setting: Setting, value: IngressSettings[Setting]): string {
  return setting === 'proxyProtocol'
    ? enumName(ProxyProtocol, Number(value)).replace('PROXY_PROTOCOL_', '').toLowerCase()
    : JSON.stringify(value);
}

/** 0 is a setting where "not given" is another value: `optional` fields. */
function isSet(value: IngressSettings[Setting], setting: Setting): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== '' && value !== false && (value !== 0 || setting === 'holdMs' || setting === 'maxHeld');
}

function checkNumber(path: string, setting: Setting, value: unknown, min: number, max: number, report: Report): void {
  if (typeof value !== 'number') return;
  const isTime = setting.endsWith('Ms');
  if (!Number.isSafeInteger(value)) report(`${path}.${setting}`, `${value} is not a whole number${isTime ? ' of milliseconds' : ''}`);
  else if (value < min || value > max) report(`${path}.${setting}`, `${value} is not between ${min} and ${max}${isTime ? ' ms' : ''}`);
}

function checkTrusted(path: string, ranges: readonly string[], report: Report): void {
  checkListLength(path, ranges, MAX_TRUSTED, report);
  ranges.slice(0, MAX_TRUSTED).forEach((range, index) => {
    if (!isRange(range))
      report(`${path}[${index}]`, `${JSON.stringify(range.slice(0, 80))} is not a range of addresses such as 10.0.0.0/8 or fd00::/8`);
  });
}

function isRange(text: string): boolean {
  const [address = '', length = '', ...more] = text.split('/');
  const family = isIP(address);
  return (
    family !== 0 && !address.includes('%') && more.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128)
  );
}

/** The kernel passes packets on and reads none. */
function checkDataPath(
  path: string,
  { dataPath, proxyProtocol, trustedSources, maxConnections }: IngressSettings,
  protocol: PortProtocol,
  report: Report,
): void {
  checkEnum(`${path}.dataPath`, dataPath, DataPath, report);
  if (dataPath !== DataPath.PATH_KERNEL) return;
  if (protocol === HTTP)
    report(`${path}.dataPath`, 'kernel is not taken with protocol http, only with tcp or udp: the kernel reads no requests');
  else if (proxyProtocol !== ProxyProtocol.PROXY_PROTOCOL_NONE || trustedSources.length > 0)
    report(
      `${path}.dataPath`,
      'kernel is not taken together with PROXY headers, which the kernel neither writes nor reads: use proxy or auto',
    );
  else if (maxConnections !== undefined)
    report(`${path}.dataPath`, 'kernel is not taken together with max-connections, which the kernel does not count: use proxy or auto');
}

function protocolName(protocol: PortProtocol): string {
  return enumName(PortProtocol, protocol).toLowerCase();
}
