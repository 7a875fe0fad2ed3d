// What the listeners must change between two tables. Pure.
import { isDeepStrictEqual } from 'node:util';
import { type PortRoute } from '../../proto/index.ts';
import { type Table } from './table.ts';

export interface TableDiff {
  readonly added: readonly PortRoute[];
  /** Same port, other targets or settings: its listener stays. */
  readonly changed: readonly PortRoute[];
  readonly removed: readonly PortRoute[];
}

export function diffTables(before: Table | undefined, after: Table): TableDiff {
  const added: PortRoute[] = [];
  const changed: PortRoute[] = [];
  for (const [key, route] of after.ports) {
    const old = before?.ports.get(key);
    if (old === undefined) added.push(route);
    else if (old !== route && !isDeepStrictEqual(old, route)) changed.push(route);
  }
  const removed: PortRoute[] = [];
  for (const [key, route] of before?.ports ?? []) {
    if (!after.ports.has(key)) removed.push(route);
  }
  return { added, changed, removed };
}
