// Which fields of a head go on to the next hop (RFC 9110, 7.6.1). Pure.
import { type Fields, valueAt, valueOf } from './head.ts';

/** Of one connection. What frames a message is written anew for the next one. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Where a message goes and ends is not the sender's to call its own affair. */
const NEVER_NAMED: ReadonlySet<string> = new Set(['host', 'content-length', 'close', 'keep-alive']);

/** Lower-cased names of headers that a Connection header names. */
export function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined;
  for (const option of connection?.split(',') ?? []) {
    const name = option.trim().toLowerCase();
    if (name !== '' && !NEVER_NAMED.has(name)) (named ??= new Set()).add(name);
  }
  return named;
}

/** The lines of those that go on, as they came; `drop` says of further ones, by their lower-cased names, that they do not. */
export function endToEnd(fields: Fields, drop: (name: string) => boolean): string {
  const { text, names, bounds } = fields;
  const named = namedByConnection(valueOf(fields, 'connection'));
  let kept = '';
  // Lines in a row are taken in one piece.
  let from = bounds[0] ?? 0;
  for (const [index, name] of names.entries()) {
    if (!HOP_BY_HOP.has(name) && !drop(name) && named?.has(name) !== true) continue;
    const line = bounds[3 * index] ?? 0;
    if (line > from) kept += text.slice(from, line);
    from = bounds[3 * index + 3] ?? 0;
    // Trailers do go through, so a client that can take them may say so to the replica.
    if (name === 'te' && hasOption(valueAt(fields, index), 'trailers')) kept += 'TE: trailers\r\n';
  }
  return kept + text.slice(from, bounds[bounds.length - 1]);
}

/** In a list of options, as that of Connection; parameters aside. */
export function hasOption(list: string, option: string): boolean {
  return list.split(',').some((each) => each.split(';')[0]?.trim().toLowerCase() === option);
}
