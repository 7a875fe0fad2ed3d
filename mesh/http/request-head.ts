// The head of a request as a replica gets it, and what may follow a body. Pure.
import { type TrustedSources } from '../trusted-sources.ts';
import { forwardedLines, isWrittenAnew, speaksOfClient } from './forwarded.ts';
import { CHUNKED } from './framing.ts';
import { type Fields, valueOf } from './head.ts';
import { endToEnd } from './headers.ts';
import { isBodiless } from './methods.ts';
import { type Visit } from './visit.ts';

/** As latin1, with the empty line. */
export function requestHead(visit: Visit, trusted: TrustedSources | undefined): string {
  return `${visit.head.method} ${visit.target} HTTP/1.1\r\n${requestLines(visit, trusted)}\r\n`;
}

function requestLines(visit: Visit, trusted: TrustedSources | undefined): string {
  const { head, ends, authority, framing, hasBody } = visit;
  const believed = trusted?.has(ends.client) === true;
  const chunked = framing === CHUNKED;
  const kept = endToEnd(
    head,
    (name) =>
      name === 'host' ||
      (believed ? isWrittenAnew(name) : speaksOfClient(name)) ||
      (name === 'trailer' && !chunked) ||
      (name === 'content-length' && !hasBody),
  );
  const framed = chunked ? 'Transfer-Encoding: chunked\r\n' : hasBody || isBodiless(head.method) ? '' : 'Content-Length: 0\r\n';
  // HTTP/1.0 may name no host; a replica that speaks HTTP/1.1 must be given one.
  const host = authority === '' ? ends.ownAuthority : authority;
  const facts = { address: ends.client, proto: ends.proto, host: authority };
  return `Host: ${host}\r\n${kept}${framed}${forwardedLines(facts, believed ? head : undefined)}`;
}

/** The same for a request to change protocols, as http-proxy takes headers: by name, repeated ones in one value. */
export function upgradeHeaders(visit: Visit, trusted: TrustedSources | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of requestLines(visit, trusted).split('\r\n').slice(0, -1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return { ...headers, connection: 'Upgrade', upgrade: valueOf(visit.head, 'upgrade') ?? '' };
}

/** What ends a chunked body behind its last chunk, the empty line included. Trailers may not change what the head has said. */
export function trailerLines(fields: Fields): string {
  return `${endToEnd(fields, (name) => HEAD_ONLY.has(name) || speaksOfClient(name))}\r\n`;
}

const HEAD_ONLY: ReadonlySet<string> = new Set(['host', 'content-length', 'trailer', 'authorization', 'cookie', 'set-cookie', 'expect']);
