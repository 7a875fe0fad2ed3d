// Reads the PROXY header that a trusted source sends before a connection. Strict: what is not exactly a header is none, and never more bytes are looked at than
// the limits say. Pure; given all bytes so far each time.
import { isIPv4, isIPv6 } from 'node:net';
import { type Ends, FIXED_BYTES, LOCAL_COMMAND, PROXY_COMMAND, SIGNATURE, TCP_IPV4, TCP_IPV6 } from './header.ts';

export type Parsed =
  | { readonly kind: 'incomplete' }
  /** `bytes`: its length; what follows is the client's. No ends: the sender speaks for itself (a health check) or of something else than TCP. */
  | { readonly kind: 'header'; readonly bytes: number; readonly ends: Ends | undefined }
  | { readonly kind: 'bad' };

/** The longest line of version 1, its end included. */
const MAX_LINE_BYTES = 107;
/** The longest block of version 2: addresses and what else the sender may tell (names, a certificate's subject), which is passed over. */
export const MAX_HEADER_BYTES = 2048;
const MAX_PORT = 65_535;

const BAD: Parsed = { kind: 'bad' };
const INCOMPLETE: Parsed = { kind: 'incomplete' };
const LINE_START = Buffer.from('PROXY ', 'latin1');

export function parseProxyHeader(bytes: Buffer): Parsed {
  if (startsLike(bytes, SIGNATURE)) return bytes.length < FIXED_BYTES ? INCOMPLETE : parseBlock(bytes);
  if (startsLike(bytes, LINE_START)) return parseLine(bytes);
  return BAD;
}

/** The bytes are a beginning of `start`, or begin with it. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function parseLine(bytes: Buffer): Parsed {
  const text = bytes.toString('latin1', 0, MAX_LINE_BYTES);
  const end = text.indexOf('\r\n');
  if (end === -1) return text.length < MAX_LINE_BYTES ? INCOMPLETE : BAD;
  const length = end + 2;
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] = text.slice(0, end).split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', bytes: length, ends: undefined };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined;
  const ports = [portOf(sourcePort), portOf(destinationPort)] as const;
  if (isAddress?.(source) !== true || !isAddress(destination) || more.length > 0 || ports[0] === undefined || ports[1] === undefined) {
    return BAD;
  }
  return {
    kind: 'header',
    bytes: length,
    ends: { source: { address: source, port: ports[0] }, destination: { address: destination, port: ports[1] } },
  };
}

function portOf(text: string): number | undefined {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= MAX_PORT ? Number(text) : undefined;
}

function parseBlock(bytes: Buffer): Parsed {
  const command = bytes[12];
  const family = bytes[13] ?? 0;
  const length = bytes.readUInt16BE(14);
  const total = FIXED_BYTES + length;
  // Families: unspecified, IPv4, IPv6, Unix; transports: unspecified, stream, datagram.
  const known = family >> 4 <= 3 && (family & 15) <= 2;
  if ((command !== LOCAL_COMMAND && command !== PROXY_COMMAND) || !known || total > MAX_HEADER_BYTES) return BAD;
  const addressBytes = family === TCP_IPV4 ? 4 : family === TCP_IPV6 ? 16 : 0;
  const speaks = command === PROXY_COMMAND && addressBytes > 0;
  if (speaks && length < 2 * addressBytes + 4) return BAD;
  if (bytes.length < total) return INCOMPLETE;
  if (!speaks) return { kind: 'header', bytes: total, ends: undefined };
  const address = (index: number): string => {
    const from = FIXED_BYTES + index * addressBytes;
    const raw = bytes.subarray(from, from + addressBytes);
    return addressBytes === 4 ? raw.join('.') : showIpv6(raw);
  };
  const port = (index: number): number => bytes.readUInt16BE(FIXED_BYTES + 2 * addressBytes + 2 * index);
  return {
    kind: 'header',
    bytes: total,
    ends: { source: { address: address(0), port: port(0) }, destination: { address: address(1), port: port(1) } },
  };
}

/** Correct, not shortened. */
function showIpv6(raw: Buffer): string {
  return Array.from({ length: 8 }, (_, index) => raw.readUInt16BE(index * 2).toString(16)).join(':');
}
