// Builds store transactions from typed rows: every write compares what it replaces or creates, so that sending one again is safe.
import { ShoalError } from '../../lib/errors.ts';
import type { Codec, Event, TaskChanges } from '../../proto/index.ts';
import type { CommitResult, Compare, LeaseId, Op, Revision, Store, Transaction } from '../store/store.ts';
import type { ClusterState } from './cluster-state.ts';
import { keyOf, type TableName } from './keys.ts';
import { type OwnWrite, type Row, TABLE_CODECS, type TableTypes } from './tables.ts';

/** What a transaction says about one row; it is written where there is an op. */
interface Entry extends OwnWrite {
  readonly key: string;
  value: TableTypes[TableName] | undefined;
  compare: Compare | undefined;
  op: Op | undefined;
}

/** Collects the writes of one transaction. One write per row. */
export class TransactionBuilder {
  readonly #entries = new Map<string, Entry>();
  readonly #fences = new Map<string, Compare>();
  #compares = 0;
  #ops = 0;
  #bytes = 0;

  /** Compares that rows are as seen, without writing them. */
  require(table: TableName, row: Row<unknown> | undefined, id = row?.id ?? ''): this {
    this.#expect(this.#entry(table, id, row), row?.modRevision ?? 0);
    return this;
  }

  /** Compares that the key's present life began at this revision. */
  fence(table: TableName, id: string, createRevision: Revision): this {
    const key = keyOf(table, id);
    if (!this.#fences.has(key)) this.#bytes += 2 * key.length;
    this.#fences.set(key, { key, createRevision });
    return this;
  }

  /** `before` is the row that the new value was made from; undefined: the row must not exist. */
  put<T extends TableName>(table: T, id: string, value: TableTypes[T], before: Row<TableTypes[T]> | undefined, leaseId?: LeaseId): this {
    const entry = this.#entry(table, id, before);
    this.#expect(entry, before?.modRevision ?? 0);
    this.#put(entry, value, leaseId);
    return this;
  }

  /** Writes whatever is there now; only for the keys whose layout allows it (route-floor) or under a fence. */
  overwrite<T extends TableName>(table: T, id: string, value: TableTypes[T]): this {
    this.#put(this.#entry(table, id, undefined), value, undefined);
    return this;
  }

  delete(table: TableName, row: Row<unknown>): this {
    const entry = this.#entry(table, row.id, row);
    this.#expect(entry, row.modRevision);
    this.#write(entry, { type: 'delete', key: entry.key }, undefined, 0);
    return this;
  }

  /** Adds an event row; `id` orders it among others and is unique. */
  event(id: string, events: readonly Event[], tasks: readonly TaskChanges[] = []): this {
    return this.overwrite('events', id, { events, tasks });
  }

  get isEmpty(): boolean {
    return this.#ops === 0;
  }

  /** As it counts against the store's limits. */
  get size(): { readonly compares: number; readonly ops: number; readonly bytes: number } {
    return { compares: this.#compares + this.#fences.size, ops: this.#ops, bytes: this.#bytes };
  }

  build(): Transaction {
    const compare: Compare[] = [...this.#fences.values()];
    const ops: Op[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.compare !== undefined) compare.push(entry.compare);
      if (entry.op !== undefined) ops.push(entry.op);
    }
    return { compare, ops };
  }

  /** The same writes as values, for this process's own state. */
  ownWrites(): OwnWrite[] {
    const writes: OwnWrite[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.op !== undefined) writes.push(entry);
    }
    return writes;
  }

  #entry(table: TableName, id: string, row: Row<unknown> | undefined): Entry {
    const key = row?.key ?? keyOf(table, id);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { table, id, key, value: undefined, compare: undefined, op: undefined };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #expect(entry: Entry, modRevision: Revision): void {
    if (entry.compare === undefined) {
      this.#compares += 1;
      this.#bytes += 2 * entry.key.length;
    }
    entry.compare = { key: entry.key, modRevision };
  }

  #put(entry: Entry, value: TableTypes[TableName], leaseId: LeaseId | undefined): void {
    const { table, key } = entry;
    const bytes = (TABLE_CODECS[table] as Codec<TableTypes[TableName]>).encode(value);
    const op: Op = leaseId === undefined ? { type: 'put', key, value: bytes } : { type: 'put', key, value: bytes, leaseId };
    this.#write(entry, op, value, bytes.length);
  }

  #write(entry: Entry, op: Op, value: TableTypes[TableName] | undefined, valueBytes: number): void {
    if (entry.op === undefined) this.#ops += 1;
    entry.op = op;
    entry.value = value;
    this.#bytes += entry.key.length + valueBytes;
  }
}

/** Commits and, on success, applies the writes to `state` at their revision. A conflict is an answer, not an error. */
export async function commitTo(
  store: Store,
  state: ClusterState,
  builder: TransactionBuilder,
  signal?: AbortSignal,
): Promise<CommitResult> {
  const result = await store.commit(builder.build(), signal);
  if (result.committed) state.applyOwn(result.revision, builder.ownWrites());
  return result;
}

/** As commitTo, with a conflict as a `conflict` error that says `what` changed meanwhile. Resolves to the revision. */
export async function mustCommit(store: Store, state: ClusterState, builder: TransactionBuilder, what: string): Promise<Revision> {
  const result = await commitTo(store, state, builder);
  if (!result.committed) throw new ShoalError('conflict', `${what} changed meanwhile: read it again and repeat the change`);
  return result.revision;
}
