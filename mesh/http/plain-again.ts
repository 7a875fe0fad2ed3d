// A request that asks for another protocol which the mesh does not pass on is served as if it had not asked (RFC 9110, 7.8: a server may ignore Upgrade).
// HTTP/2 by upgrade would carry requests past the rules of the port; a request with a body would have to be read while it waits.
import { type IncomingMessage } from 'node:http';
import { namedByConnection } from './headers.ts';
import { type Visit } from './visit.ts';

const NOT_PASSED_ON: ReadonlySet<string> = new Set(['h2c', 'tls']);

export function asksForNothingKnown({ req, hasBody }: Visit): boolean {
  if (hasBody) return true;
  const protocols = (req.headers.upgrade ?? '').split(',').map((protocol) => protocol.trim().split('/')[0]?.toLowerCase() ?? '');
  return protocols.every((protocol) => protocol === '' || NOT_PASSED_ON.has(protocol));
}

/** Its head again, without the wish. */
export function headWithoutUpgrade({ method, url, rawHeaders, httpVersion, headers }: IncomingMessage): Buffer {
  const options = [...(namedByConnection(rawHeaders) ?? [])].filter((option) => option !== 'upgrade' && option !== 'http2-settings');
  if (/(^|,)\s*close\s*(,|$)/i.test(headers.connection ?? '')) options.push('close');
  let head = `${method ?? ''} ${url ?? ''} HTTP/${httpVersion}\r\n`;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!['upgrade', 'connection', 'http2-settings'].includes(name.toLowerCase())) head += `${name}: ${rawHeaders[at + 1] ?? ''}\r\n`;
  }
  if (options.length > 0) head += `Connection: ${options.join(', ')}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}
