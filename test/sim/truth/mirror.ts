// What the store holds, row by row, read from the store itself at the moment it changes.
import { parseKey, TABLE_PREFIXES, type TableName } from '../../../manager/state/keys.ts';
import { TABLE_CODECS, type TableTypes } from '../../../manager/state/tables.ts';
import type { LocalServer } from '../../../manager/store/local/server.ts';
import type { Revision } from '../../../manager/store/store.ts';

export interface MirrorRow<T> {
  readonly id: string;
  readonly value: T;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
}

export type AnyChange = {
  readonly [T in TableName]: {
    readonly table: T;
    readonly id: string;
    readonly before: MirrorRow<TableTypes[T]> | undefined;
    readonly after: MirrorRow<TableTypes[T]> | undefined;
  };
}[TableName];

export class Mirror {
  revision: Revision;
  readonly #server: LocalServer;
  readonly #tables = new Map<TableName, Map<string, MirrorRow<unknown>>>();
  readonly #listeners: ((change: AnyChange) => void)[] = [];

  constructor(server: LocalServer) {
    this.#server = server;
    this.revision = server.engine.revision;
    for (const table of Object.keys(TABLE_PREFIXES) as TableName[]) this.#tables.set(table, new Map());
    server.subscribe(() => {
      this.#catchUp();
    });
  }

  /** Called with each change, in order, once all of its revision are in. */
  onChange(listener: (change: AnyChange) => void): void {
    this.#listeners.push(listener);
  }

  get<T extends TableName>(table: T, id: string): MirrorRow<TableTypes[T]> | undefined {
    return this.#tables.get(table)?.get(id) as MirrorRow<TableTypes[T]> | undefined;
  }

  all<T extends TableName>(table: T): Iterable<MirrorRow<TableTypes[T]>> {
    return (this.#tables.get(table)?.values() ?? []) as Iterable<MirrorRow<TableTypes[T]>>;
  }

  #catchUp(): void {
    for (;;) {
      const events = this.#server.engine.history.at(this.revision + 1);
      if (events === undefined) return;
      this.revision++;
      const changes: AnyChange[] = [];
      for (const event of events) {
        const parsed = parseKey(event.type === 'put' ? event.item.key : event.key);
        if (parsed === undefined) continue;
        const { table, id } = parsed;
        const rows = this.#tables.get(table);
        const before = rows?.get(id);
        if (event.type === 'delete') rows?.delete(id);
        else {
          const { createRevision, modRevision, value } = event.item;
          rows?.set(id, { id, value: TABLE_CODECS[table].decode(value), createRevision, modRevision });
        }
        changes.push({ table, id, before, after: rows?.get(id) } as AnyChange);
      }
      for (const change of changes) {
        for (const listener of this.#listeners) listener(change);
      }
    }
  }
}
