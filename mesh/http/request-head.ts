// The head of a request as a replica gets it. Pure.
import { type TrustedSources } from '../trusted-sources.ts';
import { forwardedHeaders, speaksOfClient } from './forwarded.ts';
import { endToEnd } from './headers.ts';
import { type Visit } from './visit.ts';

/** Name, value, name, value; framing included, for Node adds its own where there is none. */
export function requestHeaders(visit: Visit, trusted: TrustedSources | undefined): string[] {
  const { req, hasBody } = visit;
  const chunked = req.headers['transfer-encoding'] !== undefined;
  const headers = endToEnd(
    req.rawHeaders,
    (name) => name === 'host' || speaksOfClient(name) || (name === 'trailer' && !chunked) || (name === 'content-length' && !hasBody),
  );
  headers.unshift('Host', visit.authority === '' ? ownAuthority(visit) : visit.authority);
  if (chunked) headers.push('Transfer-Encoding', 'chunked');
  else if (!hasBody && !BODILESS.has(req.method ?? '')) headers.push('Content-Length', '0');
  const { client: address, proto, authority: host } = visit;
  headers.push(...forwardedHeaders(req.headers, { address, proto, host, trusted: trusted?.has(address) === true }));
  return headers;
}

/** The same for a request to change protocols, as http-proxy takes headers: by name, repeated ones in one value. */
export function upgradeHeaders(visit: Visit, trusted: TrustedSources | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  const list = requestHeaders(visit, trusted);
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = (list[at] ?? '').toLowerCase();
    const value = list[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return { ...headers, connection: 'Upgrade', upgrade: visit.req.headers.upgrade ?? '' };
}

/** Trailers may not change what the head has said. */
export function trailersOf(raw: readonly string[]): string[] {
  return endToEnd(raw, (name) => HEAD_ONLY.has(name) || speaksOfClient(name));
}

/** Methods that servers expect no body of: without a length they have none. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);
const HEAD_ONLY: ReadonlySet<string> = new Set(['host', 'content-length', 'trailer', 'authorization', 'cookie', 'set-cookie', 'expect']);

/** HTTP/1.0 may name no host; a replica that speaks HTTP/1.1 must be given one. */
function ownAuthority({ req }: Visit): string {
  const { localAddress = '', localPort } = req.socket;
  return `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${String(localPort ?? 0)}`;
}
