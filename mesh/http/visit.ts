// What the mesh makes of a request's head before anything is done with it. Pure. Node's strict parser has refused what is malformed;
// here is refused what is well-formed but could be read in two ways by two servers, which is how requests are smuggled.
import { type IncomingMessage } from 'node:http';
import { plainAddress } from '../trusted-sources.ts';
import { countOf } from './headers.ts';
import { MAX_HEADERS } from './limits.ts';
import { hostOf } from './rules.ts';

/** A request with its client. */
export interface Visit {
  readonly req: IncomingMessage;
  /** Numeric. */
  readonly client: string;
  readonly proto: 'http' | 'https';
  /** As the request names it, port included; "" where it names none. */
  readonly authority: string;
  /** As rules write it. */
  readonly host: string;
  /** In origin form (or "*"): what the replica is asked for. */
  readonly target: string;
  /** Without the query. */
  readonly path: string;
  readonly hasBody: boolean;
  /** Monotonic. */
  readonly startedMs: number;
}

export interface Refusal {
  readonly status: 400 | 431 | 501;
  readonly why: string;
}

export function visitOf(req: IncomingMessage, proto: 'http' | 'https', startedMs: number): Visit | Refusal {
  const { headers, rawHeaders, url = '' } = req;
  if (rawHeaders.length > 2 * MAX_HEADERS) return { status: 431, why: `it has more than ${String(MAX_HEADERS)} headers` };
  if (countOf(rawHeaders, 'host') > 1) return bad('it names more than one Host');
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    if (length !== undefined) return bad('it has both Content-Length and Transfer-Encoding');
    if (req.httpVersionMinor === 0) return bad('HTTP/1.0 has no Transfer-Encoding');
    if (coding.toLowerCase() !== 'chunked') return { status: 501, why: 'its Transfer-Encoding is not known here; only chunked is' };
  }
  const aim = aimOf(url, headers.host ?? '');
  if (aim === undefined) return bad('its target is neither a path nor an http address');
  const query = aim.target.indexOf('?');
  return {
    req,
    client: plainAddress(req.socket.remoteAddress ?? ''),
    proto,
    authority: aim.authority,
    host: hostOf(aim.authority),
    target: aim.target,
    path: query < 0 ? aim.target : aim.target.slice(0, query),
    hasBody: coding !== undefined || (length !== undefined && length !== '0'),
    startedMs,
  };
}

/** A target that names its host goes before the Host header (RFC 9112, 3.2.2). */
function aimOf(url: string, host: string): { readonly target: string; readonly authority: string } | undefined {
  if (url.startsWith('/') || url === '*') return { target: url, authority: host };
  const match = /^https?:\/\/([^/?#@]+)([/?].*)?$/i.exec(url);
  if (match?.[1] === undefined) return undefined;
  const rest = match[2] ?? '/';
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority: match[1] };
}

function bad(why: string): Refusal {
  return { status: 400, why };
}
