// A request that asks for another protocol which the mesh does not pass on is served as if it had not asked (RFC 9110, 7.8: a server may ignore Upgrade).
// HTTP/2 by upgrade would carry requests past the rules of the port; a request with a body would have to be read while it waits.
import { valueOf } from './head.ts';
import { hasOption } from './headers.ts';
import { type Visit } from './visit.ts';

const NOT_PASSED_ON: ReadonlySet<string> = new Set(['h2c', 'tls']);

export function asksForUpgrade({ head, hasBody }: Visit): boolean {
  const wish = valueOf(head, 'upgrade');
  if (wish === undefined || hasBody || head.minor === 0 || !hasOption(valueOf(head, 'connection') ?? '', 'upgrade')) return false;
  const protocols = wish.split(',').map((protocol) => protocol.trim().split('/')[0]?.toLowerCase() ?? '');
  return protocols.some((protocol) => protocol !== '' && !NOT_PASSED_ON.has(protocol));
}
