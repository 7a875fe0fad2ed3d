// --publish, --publish-add and --publish-rm.
import { isDeepStrictEqual } from 'node:util';
import { PortMode, PortProtocol, type PortSpec, type ServiceSpec } from '../../../proto/index.ts';
import { protocolName } from '../../format/ports.ts';
import { parseCsv, splitKeyValue } from './csv.ts';
import type { FlagReader } from './flag-reader.ts';

const PROTOCOLS: Readonly<Record<string, PortProtocol>> = { tcp: PortProtocol.TCP, udp: PortProtocol.UDP };
const MODES: Readonly<Record<string, PortMode>> = { ingress: PortMode.INGRESS, host: PortMode.HOST };
const MAX_PORT = 65_535;
/** A range is written out port by port. */
const MAX_RANGE = 1000;

export function applyPorts(spec: ServiceSpec, flags: FlagReader): readonly PortSpec[] {
  const added = flags.added('publish');
  const fresh = added.values.flatMap((text) => take(text, parsePublish, added.flag, flags));
  refuseDuplicates(fresh, added.flag, flags);
  const removed = flags.removed('publish');
  const removals = removed.values.flatMap((text) => take(text, parseRemoval, removed.flag, flags));
  const kept = spec.ports.filter((port) => !removals.some((removal) => matches(port, removal)));
  const others = fresh.filter((port) => !kept.some((other) => isDeepStrictEqual(port, other)));
  // Docker's: what is published is not published otherwise behind one's back.
  const taken = kept.filter((port) => others.some((other) => samePublished(port, other)));
  for (const port of taken) flags.problem(added.flag, alreadyPublished(port));
  return [...kept.filter((port) => !taken.includes(port)), ...others];
}

function alreadyPublished({ publishedPort, targetPort, protocol, mode }: PortSpec): string {
  const suffix = protocol === PortProtocol.UDP ? '/udp' : '';
  const as = mode === PortMode.HOST ? ' in host mode' : '';
  const ports = `${String(publishedPort)}:${String(targetPort)}${suffix}`;
  return `port ${String(publishedPort)}/${protocolName(protocol)} is published already, to ${String(targetPort)}${as}; --publish-rm ${ports} takes that away`;
}

function take<T>(text: string, parse: (text: string) => readonly T[] | string, flag: string, flags: FlagReader): readonly T[] {
  const result = parse(text);
  if (typeof result !== 'string') return result;
  flags.problem(flag, result);
  return [];
}

function samePublished(a: PortSpec, b: PortSpec): boolean {
  return a.protocol === b.protocol && a.publishedPort === b.publishedPort && a.publishedPort !== 0;
}

function refuseDuplicates(ports: readonly PortSpec[], flag: string, flags: FlagReader): void {
  const seen = new Set<string>();
  for (const port of ports) {
    const key = `${String(port.publishedPort)}/${protocolName(port.protocol)}`;
    if (port.publishedPort !== 0 && seen.has(key)) flags.problem(flag, `port ${key} is published twice`);
    seen.add(key);
  }
}

interface Removal {
  readonly target: number;
  readonly published: number | undefined;
  readonly protocol: PortProtocol;
}

/** Docker's: TARGET[/PROTOCOL], or a whole PUBLISHED:TARGET. */
function parseRemoval(text: string): readonly Removal[] | string {
  const ports = parsePublish(text);
  if (typeof ports === 'string') return ports;
  return ports.map((port) => ({ target: port.targetPort, published: port.publishedPort || undefined, protocol: port.protocol }));
}

function matches(port: PortSpec, removal: Removal): boolean {
  return (
    port.targetPort === removal.target &&
    port.protocol === removal.protocol &&
    (removal.published === undefined || port.publishedPort === removal.published)
  );
}

/** The ports that one value of --publish means, or what is wrong with it. */
export function parsePublish(text: string): readonly PortSpec[] | string {
  return text.includes('=') ? parseLong(text) : parseShort(text);
}

function parseShort(text: string): readonly PortSpec[] | string {
  const [ports = '', protocolText = 'tcp', ...more] = text.split('/');
  const parts = ports.split(':');
  if (more.length > 0 || parts.length > 2) return malformed(text);
  const targets = parseRange(parts.at(-1) ?? '');
  const published = parts.length === 1 ? undefined : parseRange(parts[0] ?? '');
  if (targets === undefined || (parts.length === 2 && published === undefined)) return malformed(text);
  const protocol = parseProtocol(protocolText);
  if (typeof protocol === 'string') return protocol;
  const outside = portOutside(targets, 1) ?? (published === undefined ? undefined : portOutside(published, 0));
  if (outside !== undefined) return outside;
  const count = targets.last - targets.first + 1;
  if (published !== undefined && published.last - published.first + 1 !== count) return `"${text}": the two ranges have different lengths`;
  if (count > MAX_RANGE) return `"${text}" is a range of more than ${String(MAX_RANGE)} ports`;
  return Array.from({ length: count }, (_, i) => ({
    name: '',
    protocol,
    targetPort: targets.first + i,
    publishedPort: published === undefined ? 0 : published.first === 0 ? 0 : published.first + i,
    mode: PortMode.INGRESS,
    ingress: undefined,
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

function parseProtocol(text: string): PortProtocol | string {
  return PROTOCOLS[text.toLowerCase()] ?? `"${text}" is not a protocol: tcp or udp`;
}

function parseLong(text: string): readonly PortSpec[] | string {
  const fields = parseCsv(text);
  if (fields === undefined) return `"${text}": a quote is not closed`;
  let port: PortSpec = {
    name: '',
    protocol: PortProtocol.TCP,
    targetPort: 0,
    publishedPort: 0,
    mode: PortMode.INGRESS,
    ingress: undefined,
  };
  for (const field of fields) {
    const changed = withField(port, field);
    if (typeof changed === 'string') return `"${text}": ${changed}`;
    port = changed;
  }
  return port.targetPort === 0 ? `"${text}" names no target port: target=80` : [port];
}

function withField(port: PortSpec, field: string): PortSpec | string {
  const [key, value = ''] = splitKeyValue(field.trim());
  switch (key.toLowerCase()) {
    case 'target':
      return portField(value, 1, (targetPort) => ({ ...port, targetPort }));
    case 'published':
      return portField(value, 0, (publishedPort) => ({ ...port, publishedPort }));
    case 'protocol': {
      const protocol = parseProtocol(value);
      return typeof protocol === 'string' ? protocol : { ...port, protocol };
    }
    case 'mode': {
      const mode = MODES[value.toLowerCase()];
      return mode === undefined ? `"${value}" is not a mode: ingress or host` : { ...port, mode };
    }
    case 'name':
      return { ...port, name: value };
    case 'path':
      return 'a choice of data path comes with a later version';
    default:
      return `"${key}" is not one of published, target, protocol, mode, name`;
  }
}

function portField(value: string, min: number, make: (port: number) => PortSpec): PortSpec | string {
  const range = parseRange(value);
  if (range === undefined || range.first !== range.last) return `"${value}" is not a port`;
  return portOutside(range, min) ?? make(range.first);
}
