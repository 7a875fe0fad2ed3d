// Headers that concern one hop only, taken out on the way (RFC 9110, 7.6.1). Pure; headers are lists of name, value, name, value as they came.

export type HeaderList = readonly string[];

/** Of one connection. What frames a message is written anew for the next one. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade']);

/** Where a message goes and ends is not the sender's to call its own affair. */
const NEVER_NAMED: ReadonlySet<string> = new Set(['host', 'content-length']);

/** Lower-cased names that the Connection headers of the list name. */
export function namedByConnection(headers: HeaderList): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== 'connection') continue;
    for (const option of (headers[at + 1] ?? '').split(',')) {
      const name = option.trim().toLowerCase();
      if (name !== '' && name !== 'close' && name !== 'keep-alive' && !NEVER_NAMED.has(name)) (named ??= new Set()).add(name);
    }
  }
  return named;
}

/** Those that go on to the next hop; `drop` says of further ones, by their lower-cased names, that they do not. */
export function endToEnd(headers: HeaderList, drop?: (name: string) => boolean): string[] {
  const named = namedByConnection(headers);
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? '';
    const value = headers[at + 1] ?? '';
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower)) {
      // Trailers do go through, so a client that can take them may say so to the replica.
      if (lower === 'te' && /(^|,)\s*trailers\s*(;|,|$)/i.test(value)) kept.push('TE', 'trailers');
      continue;
    }
    if (named?.has(lower) === true || drop?.(lower) === true) continue;
    kept.push(name, value);
  }
  return kept;
}

/** Pairs, as Node takes trailers. */
export function pairsOf(headers: HeaderList): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) pairs.push([headers[at] ?? '', headers[at + 1] ?? '']);
  return pairs;
}

/** How often a header of this lower-cased name is there. */
export function countOf(headers: HeaderList, name: string): number {
  let count = 0;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.length === name.length && headers[at]?.toLowerCase() === name) count++;
  }
  return count;
}
