// What a replica is told of the client: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239). Pure.
// The word of a trusted source is kept and added to; anybody else's is replaced.
import { type IncomingHttpHeaders } from 'node:http';

export interface ClientFacts {
  /** Numeric, without the IPv6 form of IPv4. */
  readonly address: string;
  readonly proto: 'http' | 'https';
  /** As the request named it; "" where it named none. */
  readonly host: string;
  /** `address` is that of a source whose word is believed. */
  readonly trusted: boolean;
}

/** Headers of this lower-cased name are written anew, or not believed. */
export function speaksOfClient(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'forwarded';
}

/** The headers in place of those that `speaksOfClient`: name, value, name, value. */
export function forwardedHeaders(received: IncomingHttpHeaders, client: ClientFacts): string[] {
  const element = elementOf(client);
  const { address, proto, host, trusted } = client;
  if (!trusted) {
    const own = ['X-Forwarded-For', address, 'X-Forwarded-Proto', proto, 'Forwarded', element];
    if (host !== '') own.push('X-Forwarded-Host', host);
    return own;
  }
  const headers: string[] = [];
  for (const [name, value] of Object.entries(received)) {
    if (!speaksOfClient(name) || OWN.has(name) || value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) headers.push(name, each);
  }
  headers.push(
    'X-Forwarded-For',
    after(received['x-forwarded-for'], address),
    'X-Forwarded-Proto',
    text(received['x-forwarded-proto']) ?? proto,
  );
  headers.push('Forwarded', after(received.forwarded, element));
  const namedHost = text(received['x-forwarded-host']) ?? host;
  if (namedHost !== '') headers.push('X-Forwarded-Host', namedHost);
  return headers;
}

const OWN: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded']);

function elementOf({ address, proto, host }: ClientFacts): string {
  const by = address.includes(':') ? `"[${address}]"` : address;
  return `for=${by};proto=${proto}${host === '' ? '' : `;host=${quoted(host)}`}`;
}

function quoted(value: string): string {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

function after(chain: string | string[] | undefined, last: string): string {
  const before = text(chain);
  return before === undefined ? last : `${before}, ${last}`;
}

function text(value: string | string[] | undefined): string | undefined {
  const joined = Array.isArray(value) ? value.join(', ') : value;
  return joined === '' ? undefined : joined;
}
