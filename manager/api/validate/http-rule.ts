// Which requests on a shared port are a service's: the host and path of its rule, written in one way only, so that the same rule is the same text.
import { HttpRule, PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import type { Report } from './report.ts';

const MAX_HOST_LENGTH = 253;
const MAX_PATH_LENGTH = 1024;
/** DNS names as browsers take them ("_" is common inside), addresses of IPv4 included. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** RFC 3986's pchar, segment by segment. */
const SEGMENT = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+$/;

/** Of a port that is not HTTP: all requests. */
export function ruleOf({ ingress }: PortSpec): HttpRule {
  return ingress?.http ?? HttpRule.create({ path: '/' });
}

export function sameRule(one: PortSpec, other: PortSpec): boolean {
  const [a, b] = [ruleOf(one), ruleOf(other)];
  return a.host === b.host && a.path === b.path;
}

/** Whether two ports of one number can be served side by side. */
export function sharesPort(one: PortSpec, other: PortSpec): boolean {
  return isHttp(one) && isHttp(other) && (one.ingress?.tls ?? false) === (other.ingress?.tls ?? false) && !sameRule(one, other);
}

export function isHttp({ protocol, mode }: PortSpec): boolean {
  return protocol === PortProtocol.HTTP && mode === PortMode.INGRESS;
}

/** "app.example.com/api"; "every host" stands for the empty one. */
export function describeRule({ host, path }: HttpRule): string {
  return `${host === '' ? 'every host, ' : host}${path}`;
}

export function checkHttpRule(at: string, { host, path }: HttpRule, report: Report): void {
  const wrongHost = hostProblem(host);
  if (wrongHost !== undefined) report(`${at}.host`, `${shown(host)} ${wrongHost}`);
  const wrongPath = pathProblem(path);
  if (wrongPath !== undefined) report(`${at}.path`, `${shown(path)} ${wrongPath}`);
}

function hostProblem(host: string): string | undefined {
  if (host === '') return undefined;
  if (host.length > MAX_HOST_LENGTH) return `is longer than ${MAX_HOST_LENGTH} characters`;
  if (host !== host.toLowerCase()) return 'must be in lower case: hosts are compared without regard to it';
  if (/:\d*$/.test(host)) return 'names a port: give the host alone, the port is the published one';
  if (host.split('.').every((label, index) => LABEL.test(label) || (index === 0 && label === '*' && host.length > 2))) return undefined;
  return 'is not a host such as app.example.com or *.example.com (others than ASCII as xn--...)';
}

function pathProblem(path: string): string | undefined {
  if (path === '/') return undefined;
  if (path.length > MAX_PATH_LENGTH) return `is longer than ${MAX_PATH_LENGTH} characters`;
  if (!path.startsWith('/')) return 'must begin with "/"';
  if (path.endsWith('/')) return 'must not end with "/": a path matches what is below it too';
  const segments = path.slice(1).split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return 'must not hold empty segments, "." or ".."';
  return segments.every((segment) => SEGMENT.test(segment))
    ? undefined
    : 'holds what no path of a request may: it has no query, and what is not ASCII is encoded, as %20';
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
