// --publish, --publish-add and --publish-rm: which ports a service has after them, and the short form, 8080:80/udp.
import { isDeepStrictEqual } from 'node:util';
import { PortMode, PortProtocol, type PortSpec, type ServiceSpec } from '../../../proto/index.ts';
import { protocolName, ruleText } from '../../format/ports.ts';
import type { FlagReader } from './flag-reader.ts';
import { MAX_PORT, newPort, parsePortFields, parseProtocol } from './port-fields.ts';

/** A range is written out port by port. */
const MAX_RANGE = 1000;

export function applyPorts(spec: ServiceSpec, flags: FlagReader): readonly PortSpec[] {
  const added = flags.added('publish');
  const fresh = added.values.flatMap((text) => take(text, parsePublish, added.flag, flags));
  refuseDuplicates(fresh, added.flag, flags);
  const removed = flags.removed('publish');
  const removals = removed.values.flatMap((text) => take(text, parseRemoval, removed.flag, flags));
  for (const text of removed.values) {
    const mistake = mistakenTarget(text, spec.ports);
    if (mistake !== undefined) flags.problem(removed.flag, mistake);
  }
  const kept = spec.ports.filter((port) => !removals.some((isRemoved) => isRemoved(port)));
  const others = fresh.filter((port) => !kept.some((other) => isDeepStrictEqual(port, other)));
  const replaced = new Set(kept.filter((port) => others.some((other) => samePublished(port, other))));
  // Docker's: what is published is not published otherwise behind one's back. How the mesh serves it is no other thing.
  for (const port of replaced) {
    if (!others.some((other) => samePublished(port, other) && sameUse(port, other))) flags.problem(added.flag, alreadyPublished(port));
  }
  return [...kept.filter((port) => !replaced.has(port)), ...others];
}

function sameUse(a: PortSpec, b: PortSpec): boolean {
  return a.protocol === b.protocol && a.targetPort === b.targetPort && a.mode === b.mode;
}

function alreadyPublished(port: PortSpec): string {
  const { publishedPort, targetPort, protocol, mode, ingress } = port;
  const published = `port ${String(publishedPort)}/${protocolName(protocol)}`;
  if (protocol === PortProtocol.HTTP) {
    const rule = ruleOf(port);
    const removal = `published=${String(publishedPort)},host=${ingress?.http?.host ?? ''},path=${ingress?.http?.path ?? '/'}`;
    return `${published}${rule === '' ? '' : ` for ${rule}`} is published already, to ${String(targetPort)}; --publish-rm ${removal} takes that away`;
  }
  const suffix = protocol === PortProtocol.UDP ? '/udp' : '';
  const as = mode === PortMode.HOST ? ' in host mode' : '';
  const ports = `${String(publishedPort)}:${String(targetPort)}${suffix}`;
  return `${published} is published already, to ${String(targetPort)}${as}; --publish-rm ${ports} takes that away`;
}

function take<T>(text: string, parse: (text: string) => readonly T[] | string, flag: string, flags: FlagReader): readonly T[] {
  const result = parse(text);
  if (typeof result !== 'string') return result;
  flags.problem(flag, result);
  return [];
}

/** A port is replaced by what cannot be served beside it: the same one, and of HTTP ones the same rule. */
function samePublished(a: PortSpec, b: PortSpec): boolean {
  if (a.publishedPort !== b.publishedPort || a.publishedPort === 0 || isUdp(a) !== isUdp(b)) return false;
  return a.protocol !== PortProtocol.HTTP || b.protocol !== PortProtocol.HTTP || ruleOf(a) === ruleOf(b);
}

function isUdp({ protocol }: PortSpec): boolean {
  return protocol === PortProtocol.UDP;
}

function ruleOf({ ingress }: PortSpec): string {
  return ruleText(ingress?.http);
}

function refuseDuplicates(ports: readonly PortSpec[], flag: string, flags: FlagReader): void {
  ports.forEach((port, index) => {
    if (!ports.slice(0, index).some((other) => samePublished(other, port))) return;
    const rule = port.protocol === PortProtocol.HTTP ? ruleOf(port) : '';
    const key = `${String(port.publishedPort)}/${protocolName(port.protocol)}`;
    flags.problem(flag, `port ${key}${rule === '' ? '' : ` for ${rule}`} is published twice`);
  });
}

/** A test of what is asked for, field by field. */
type Removal = (port: PortSpec) => boolean;

/** Docker's: TARGET[/PROTOCOL], or a whole PUBLISHED:TARGET; and any of published, target, protocol, host and path. */
function parseRemoval(text: string): readonly Removal[] | string {
  if (!text.includes('=')) {
    const ports = parsePublish(text);
    if (typeof ports === 'string') return ports;
    const isNamed = text.includes('/');
    return ports.map((wanted) => (port) => sameNumbers(port, wanted) && sameProtocol(port, wanted, isNamed));
  }
  const read = parsePortFields(text, false);
  if (typeof read === 'string') return read;
  const { port: wanted, given } = read;
  if (!['target', 'published', 'host', 'rule'].some((field) => given.has(field))) return `"${text}" names no port: target=80`;
  const { host, path } = wanted.ingress?.http ?? { host: '', path: '/' };
  return [
    (port) =>
      sameNumbers(port, wanted) &&
      sameProtocol(port, wanted, given.has('protocol')) &&
      (!given.has('host') || port.ingress?.http?.host === host) &&
      (!given.has('rule') || port.ingress?.http?.path === path),
  ];
}

/** A lone number is a target port: one that is none, and is published instead, was hardly meant so. */
function mistakenTarget(text: string, ports: readonly PortSpec[]): string | undefined {
  const wanted = text.includes('=') ? [] : parsePublish(text);
  if (typeof wanted === 'string') return undefined;
  const isNamed = text.includes('/');
  for (const { targetPort, publishedPort, ...rest } of wanted) {
    if (publishedPort !== 0) continue;
    const alike = ports.filter((port) => sameProtocol(port, { targetPort, publishedPort, ...rest }, isNamed));
    const meant = alike.find((port) => port.publishedPort === targetPort);
    if (meant === undefined || alike.some((port) => port.targetPort === targetPort)) continue;
    const [asked, target] = [String(targetPort), String(meant.targetPort)];
    return `"${text}" is taken as a target port, as in Docker, and none is ${asked}: it is the published port of target ${target}; remove ${asked}:${target} or published=${asked}`;
  }
  return undefined;
}

/** 0: any. */
function sameNumbers(port: PortSpec, { targetPort, publishedPort }: PortSpec): boolean {
  return (targetPort === 0 || port.targetPort === targetPort) && (publishedPort === 0 || port.publishedPort === publishedPort);
}

/** What names no protocol means TCP, be it read as HTTP or not. */
function sameProtocol(port: PortSpec, wanted: PortSpec, isNamed: boolean): boolean {
  return port.protocol === wanted.protocol || (!isNamed && port.protocol === PortProtocol.HTTP);
}

/** The ports that one value of --publish means, or what is wrong with it. */
export function parsePublish(text: string): readonly PortSpec[] | string {
  if (!text.includes('=')) return parseShort(text);
  const read = parsePortFields(text, true);
  return typeof read === 'string' ? read : [read.port];
}

function parseShort(text: string): readonly PortSpec[] | string {
  const [ports = '', protocolText = 'tcp', ...more] = text.split('/');
  const parts = ports.split(':');
  if (more.length > 0 || parts.length > 2) return malformed(text);
  const targets = parseRange(parts.at(-1) ?? '');
  const published = parts.length === 1 ? undefined : parseRange(parts[0] ?? '');
  const protocol = parseProtocol(protocolText);
  if (targets === undefined || (parts.length === 2 && published === undefined))
    return typeof protocol === 'string' ? `${malformed(text)}; ${protocol}` : malformed(text);
  const wrong = [
    published === undefined ? undefined : portOutside(published, 0),
    portOutside(targets, 1),
    typeof protocol === 'string' ? protocol : undefined,
  ].filter((problem) => problem !== undefined);
  if (typeof protocol === 'string' || wrong.length > 0) return wrong.join('; ');
  const count = targets.last - targets.first + 1;
  if (published !== undefined && published.last - published.first + 1 !== count) return `"${text}": the two ranges have different lengths`;
  if (count > MAX_RANGE) return `"${text}" is a range of more than ${String(MAX_RANGE)} ports`;
  return Array.from({ length: count }, (_, i) => ({
    ...newPort(protocol),
    targetPort: targets.first + i,
    publishedPort: published === undefined ? 0 : published.first === 0 ? 0 : published.first + i,
  }));
}

function malformed(text: string): string {
  return `"${text}" is not PUBLISHED:TARGET such as 8080:80, 8080:80/udp or 8080-8082:80-82`;
}

interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Undefined where the text is not "80" or "80-82". */
function parseRange(text: string): PortRange | undefined {
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  return { first, last: match[2] === undefined ? first : Number(match[2]) };
}

function portOutside(range: PortRange, min: number): string | undefined {
  const wrong = [range.first, range.last].find((port) => port < min || port > MAX_PORT);
  if (wrong !== undefined) return `port ${String(wrong)} is not between 1 and ${String(MAX_PORT)}`;
  return range.last < range.first ? `the range ${String(range.first)}-${String(range.last)} runs backwards` : undefined;
}
