// What a replica is told of the client: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239). Pure.
// The word of a trusted source is kept and added to; anybody else's is replaced.
import { type Fields, isToken, valueOf } from './head.ts';

export interface ClientFacts {
  /** Numeric, without the IPv6 form of IPv4. */
  readonly address: string;
  readonly proto: 'http' | 'https';
  /** As the request named it; "" where it named none. */
  readonly host: string;
}

/** Headers of this lower-cased name are written anew, or not believed. */
export function speaksOfClient(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'forwarded';
}

/** Those among them that `forwardedLines` writes; others of a trusted source go on as they came. */
export function isWrittenAnew(name: string): boolean {
  return OWN.has(name);
}

/** The lines in place of those of the same names. `received`: of a trusted source, whose word is kept and added to. */
export function forwardedLines({ address, proto, host }: ClientFacts, received?: Fields): string {
  const namedHost = said(received, 'x-forwarded-host') ?? host;
  return `X-Forwarded-For: ${after(said(received, 'x-forwarded-for'), address)}\r\n\
X-Forwarded-Proto: ${said(received, 'x-forwarded-proto') ?? proto}\r\n\
Forwarded: ${after(said(received, 'forwarded'), elementOf(address, proto, host))}\r\n\
${namedHost === '' ? '' : `X-Forwarded-Host: ${namedHost}\r\n`}`;
}

const OWN: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded']);

function elementOf(address: string, proto: string, host: string): string {
  const by = address.includes(':') ? `"[${address}]"` : address;
  return `for=${by};proto=${proto}${host === '' ? '' : `;host=${quoted(host)}`}`;
}

function quoted(value: string): string {
  return isToken(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

function after(chain: string | undefined, last: string): string {
  return chain === undefined ? last : `${chain}, ${last}`;
}

function said(received: Fields | undefined, name: string): string | undefined {
  const value = received === undefined ? undefined : valueOf(received, name);
  return value === '' ? undefined : value;
}
