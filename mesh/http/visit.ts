// What the mesh makes of a request's head before anything is done with it. Pure. The head itself is well formed; here is refused what could still be read in
// two ways by two servers: where it goes, and where its body ends.
import { type Framing, requestFraming } from './framing.ts';
import { type Fields, type Refusal, type RequestHead, valueAt, valueOf } from './head.ts';
import { hasOption } from './headers.ts';
import { hostOf } from './rules.ts';

/** Of a client connection. */
export interface Ends {
  /** The client's address: numeric, without the IPv6 form of IPv4. */
  readonly client: string;
  readonly proto: 'http' | 'https';
  /** Where it was met, as a host and port. */
  readonly ownAuthority: string;
}

/** A request with its client. */
export interface Visit {
  readonly head: RequestHead;
  readonly ends: Ends;
  /** As the request names it, port included; "" where it names none. */
  readonly authority: string;
  /** As rules write it. */
  readonly host: string;
  /** In origin form (or "*"): what the replica is asked for. */
  readonly target: string;
  /** Without the query. */
  readonly path: string;
  readonly framing: Framing;
  /** It has a body, or may have one. */
  readonly hasBody: boolean;
  /** The client keeps the connection for further requests. */
  readonly keepAlive: boolean;
  /** Monotonic. */
  readonly startedMs: number;
}

/** A host, and a port perhaps; without what other readers might take for the end of it. */
const AUTHORITY = /^[\w.~!$&'()*+;=%:[\]-]*$/;

export function visitOf(head: RequestHead, ends: Ends, startedMs: number): Visit | Refusal {
  const { names, minor } = head;
  if (head.method === 'CONNECT') return bad('this is no server for tunnels');
  const at = names.indexOf('host');
  if (at < 0 && minor === 1) return bad('it names no Host');
  if (at >= 0 && names.includes('host', at + 1)) return bad('it names more than one Host');
  const framing = requestFraming(head);
  if (typeof framing === 'object') return framing;
  const named = at < 0 ? '' : valueAt(head, at);
  const aim = head.target.startsWith('/') ? { target: head.target, authority: named } : aimOf(head.target, named);
  if (aim === undefined) return bad('its target is neither a path nor an http address');
  if (!AUTHORITY.test(named) || !AUTHORITY.test(aim.authority)) return bad('its host has signs that may not be in one');
  const query = aim.target.indexOf('?');
  return {
    head,
    ends,
    authority: aim.authority,
    host: hostOf(aim.authority),
    target: aim.target,
    path: query < 0 ? aim.target : aim.target.slice(0, query),
    framing,
    hasBody: framing !== 0,
    keepAlive: keepsAlive(head, minor),
    startedMs,
  };
}

/** Whether the sender of a message of HTTP/1.`minor` keeps the connection. Proxy-Connection is an old mistake that some readers, Node among them, believe. */
export function keepsAlive(head: Fields, minor: number): boolean {
  const connection = valueOf(head, 'connection');
  const mistaken = valueOf(head, 'proxy-connection');
  if (connection === undefined && mistaken === undefined) return minor === 1;
  const options = `${connection ?? ''},${mistaken ?? ''}`;
  return !hasOption(options, 'close') && (minor === 1 || hasOption(options, 'keep-alive'));
}

/** A target that names its host goes before the Host header (RFC 9112, 3.2.2). */
function aimOf(url: string, host: string): { readonly target: string; readonly authority: string } | undefined {
  if (url === '*') return { target: url, authority: host };
  const match = /^https?:\/\/([^/?#@]+)([/?].*)?$/i.exec(url);
  if (match?.[1] === undefined) return undefined;
  const rest = match[2] ?? '/';
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority: match[1] };
}

function bad(why: string): Refusal {
  return { status: 400, why };
}
