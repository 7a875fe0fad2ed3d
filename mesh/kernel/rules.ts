// What the kernel path keeps in the kernel, as data: which published ports are mapped to which addresses. script.ts turns two of these into what nft must
// do, listing.ts reads one back.
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

export type Transport = 'tcp' | 'udp';

export interface PortRules {
  readonly transport: Transport;
  /** The one that the mesh listens on. */
  readonly port: number;
  /** New connections go to these in turns, each an `addressKey`; none: they go on to the mesh's own listener. */
  readonly slots4: readonly string[];
  readonly slots6: readonly string[];
}

export interface Rules {
  /** By `portName`. */
  readonly ports: ReadonlyMap<string, PortRules>;
  /** Addresses that are reached without masquerading, because what answers them lives on this node. */
  readonly locals: ReadonlySet<string>;
  /** Interfaces whose clients are left to the mesh's listener: bridges that replicas of this node are on. */
  readonly bridges: ReadonlySet<string>;
}

export const NO_RULES: Rules = { ports: new Map(), locals: new Set(), bridges: new Set() };

/** Set in the mark of each connection that the kernel path maps: what tells them from others, here and in Docker's chains. */
export const CONNECTION_MARK = 0x0800_0000;

/** The table of a node; there may be several nodes on one host. Node ids are letters and digits, whatever else is replaced. */
export function tableName(nodeId: string): string {
  return `shoal_${nodeId.replace(/[^A-Za-z0-9]/g, '_')}`;
}

/** Of the port's chain and counter, and the beginning of its maps' names: "tcp_8080". */
export function portName({ transport, port }: Pick<PortRules, 'transport' | 'port'>): string {
  return `${transport}_${String(port)}`;
}

/** "10.0.0.7 . 8080", as nft has it. `host`: in its one canonical form. */
export function addressKey(host: string, port: number): string {
  return `${host} . ${String(port)}`;
}

/** The form that nft and the kernel print: no leading zeros, IPv6 compressed, IPv4 in its own clothes. Undefined where it is no address. */
export function canonicalAddress(host: string): string | undefined {
  // Other spellings of an IPv4 address are not taken as one.
  if (isIPv4(host)) return host;
  if (!isIPv6(host)) return undefined;
  const { address } = new SocketAddress({ address: host, family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
}
