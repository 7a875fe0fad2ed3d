// Which published ports ask for the kernel path, and which of those it can serve as they ask. Pure.
import { DataPath, PortProtocol, type PortRoute, ProxyProtocol } from '../../proto/index.ts';
import { whereSet } from '../limits.ts';
import { type Transport } from './rules.ts';

/** What a port's connections take, in words that follow "kernel:" or "proxy:". */
export interface PathInUse {
  readonly path: Exclude<DataPath, typeof DataPath.PATH_AUTO>;
  readonly reason: string;
}

export const ASKED_FOR = 'the port asks for it';

/** Undefined: the kernel is to serve it, where this node can. */
export function whyProxy({ protocol, settings }: Pick<PortRoute, 'protocol' | 'settings'>): string | undefined {
  switch (settings?.dataPath ?? DataPath.PATH_AUTO) {
    case DataPath.PATH_AUTO:
      return 'auto is the proxy';
    case DataPath.PATH_PROXY:
      return ASKED_FOR;
    case DataPath.PATH_KERNEL:
      break;
  }
  if (transportOf(protocol) === undefined) return 'the kernel reads no requests: only tcp and udp ports can take its path';
  const hasHeaders =
    (settings?.proxyProtocol ?? ProxyProtocol.PROXY_PROTOCOL_NONE) !== ProxyProtocol.PROXY_PROTOCOL_NONE ||
    (settings?.trustedSources.length ?? 0) > 0;
  if (hasHeaders) return 'the kernel neither writes nor reads PROXY headers';
  if (whereSet(settings?.maxConnections) !== undefined) return 'the kernel keeps no limit of connections: max-connections needs the proxy';
  return undefined;
}

export function transportOf(protocol: PortProtocol): Transport | undefined {
  switch (protocol) {
    case PortProtocol.TCP:
      return 'tcp';
    case PortProtocol.UDP:
      return 'udp';
    case PortProtocol.HTTP:
      return undefined;
  }
}
