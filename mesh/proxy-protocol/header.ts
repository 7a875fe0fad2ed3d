// The PROXY protocol's header, versions 1 and 2, as HAProxy's proxy-protocol.txt defines it: who the client is, said before its first byte. Pure.
import { isIPv4 } from 'node:net';
import { ProxyProtocol } from '../../proto/index.ts';

export interface Endpoint {
  /** Numeric; IPv4 ones plain. */
  readonly address: string;
  readonly port: number;
}

/** The ends of a client's connection. */
export interface Ends {
  readonly source: Endpoint;
  /** Where the client connected to. */
  readonly destination: Endpoint;
}

/** The first 12 bytes of version 2. */
export const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
export const LOCAL_COMMAND = 0x20;
export const PROXY_COMMAND = 0x21;
export const TCP_IPV4 = 0x11;
export const TCP_IPV6 = 0x21;
/** Signature, command, family, length. */
export const FIXED_BYTES = 16;

/** Undefined where none is to be sent. Ends that are not known (the client is gone already) are sent as such. */
export function proxyHeader(version: ProxyProtocol, ends: Ends | undefined): Buffer | undefined {
  // A table of a newer manager may name versions that this one does not know.
  switch (version as number) {
    case ProxyProtocol.PROXY_PROTOCOL_V1:
      return Buffer.from(line(ends), 'latin1');
    case ProxyProtocol.PROXY_PROTOCOL_V2:
      return block(ends);
    default:
      return undefined;
  }
}

function line(ends: Ends | undefined): string {
  if (ends === undefined) return 'PROXY UNKNOWN\r\n';
  const { source, destination } = ends;
  const four = isIPv4(source.address) && isIPv4(destination.address);
  const show = ({ address }: Endpoint): string => (!four && isIPv4(address) ? `::ffff:${address}` : withoutZone(address));
  const ports = `${String(source.port)} ${String(destination.port)}`;
  return `PROXY ${four ? 'TCP4' : 'TCP6'} ${show(source)} ${show(destination)} ${ports}\r\n`;
}

function block(ends: Ends | undefined): Buffer {
  const four = ends !== undefined && isIPv4(ends.source.address) && isIPv4(ends.destination.address);
  const addressBytes = four ? 4 : 16;
  const length = ends === undefined ? 0 : 2 * addressBytes + 4;
  const header = Buffer.alloc(FIXED_BYTES + length);
  SIGNATURE.copy(header);
  header[12] = ends === undefined ? LOCAL_COMMAND : PROXY_COMMAND;
  header[13] = ends === undefined ? 0 : four ? TCP_IPV4 : TCP_IPV6;
  header.writeUInt16BE(length, 14);
  if (ends === undefined) return header;
  const { source, destination } = ends;
  header.set(four ? bytesOfIpv4(source.address) : bytesOfIpv6(source.address), FIXED_BYTES);
  header.set(four ? bytesOfIpv4(destination.address) : bytesOfIpv6(destination.address), FIXED_BYTES + addressBytes);
  header.writeUInt16BE(source.port, FIXED_BYTES + 2 * addressBytes);
  header.writeUInt16BE(destination.port, FIXED_BYTES + 2 * addressBytes + 2);
  return header;
}

function bytesOfIpv4(address: string): Uint8Array {
  return Uint8Array.from(address.split('.'), Number);
}

/** Of any form that a socket shows; an IPv4 address becomes a mapped one. */
function bytesOfIpv6(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.of(...MAPPED, ...bytesOfIpv4(address));
  const [before = '', after] = withoutZone(address).split('::', 2);
  const head = groups(before);
  const tail = groups(after ?? '');
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function groups(text: string): readonly number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return [...bytesOfIpv4(group)];
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** "fe80::1%eth0": the interface is this host's own affair. */
function withoutZone(address: string): string {
  const zone = address.indexOf('%');
  return zone === -1 ? address : address.slice(0, zone);
}
