// Builds store transactions from typed rows: every write compares what it replaces or creates, so that sending one again is safe.
import { ShoalError } from '../../lib/errors.ts';
import type { Event } from '../../proto/index.ts';
import type { CommitResult, Compare, LeaseId, Op, Revision, Store, Transaction } from '../store/store.ts';
import type { ClusterState } from './cluster-state.ts';
import { keyOf, type TableName } from './keys.ts';
import { type OwnWrite, type Row, TABLE_CODECS, type TableTypes } from './tables.ts';

/** Collects the writes of one transaction. One write per row. */
export class TransactionBuilder {
  readonly #compare = new Map<string, Compare>();
  readonly #ops = new Map<string, Op>();
  readonly #own = new Map<string, OwnWrite>();
  #bytes = 0;

  /** Compares that rows are as seen, without writing them. */
  require(table: TableName, row: Row<unknown> | undefined, id = row?.id ?? ''): this {
    this.#expect(keyOf(table, id), row?.modRevision ?? 0);
    return this;
  }

  /** Compares that the key's present life began at this revision. */
  fence(table: TableName, id: string, createRevision: Revision): this {
    const key = keyOf(table, id);
    this.#add(`fence:${key}`, { key, createRevision });
    return this;
  }

  /** `before` is the row that the new value was made from; undefined: the row must not exist. */
  put<T extends TableName>(table: T, id: string, value: TableTypes[T], before: Row<TableTypes[T]> | undefined, leaseId?: LeaseId): this {
    const key = keyOf(table, id);
    this.#expect(key, before?.modRevision ?? 0);
    this.#write(table, id, value, leaseId);
    return this;
  }

  /** Writes whatever is there now; only for the keys whose layout allows it (route-floor) or under a fence. */
  overwrite<T extends TableName>(table: T, id: string, value: TableTypes[T]): this {
    this.#write(table, id, value, undefined);
    return this;
  }

  delete(table: TableName, row: Row<unknown>): this {
    const key = keyOf(table, row.id);
    this.#expect(key, row.modRevision);
    this.#ops.set(key, { type: 'delete', key });
    this.#own.set(key, { table, id: row.id, value: undefined });
    this.#bytes += key.length;
    return this;
  }

  /** Adds an event row; `id` orders it among others and is unique. */
  event(id: string, events: readonly Event[]): this {
    this.#write('events', id, { events }, undefined);
    return this;
  }

  get isEmpty(): boolean {
    return this.#ops.size === 0;
  }

  /** As it counts against the store's limits. */
  get size(): { readonly compares: number; readonly ops: number; readonly bytes: number } {
    return { compares: this.#compare.size, ops: this.#ops.size, bytes: this.#bytes };
  }

  build(): Transaction {
    return { compare: [...this.#compare.values()], ops: [...this.#ops.values()] };
  }

  /** The same writes as values, for this process's own state. */
  ownWrites(): Iterable<OwnWrite> {
    return this.#own.values();
  }

  #expect(key: string, modRevision: Revision): void {
    this.#add(key, { key, modRevision });
  }

  #add(name: string, compare: Compare): void {
    if (!this.#compare.has(name)) this.#bytes += 2 * compare.key.length;
    this.#compare.set(name, compare);
  }

  #write<T extends TableName>(table: T, id: string, value: TableTypes[T], leaseId: LeaseId | undefined): void {
    const key = keyOf(table, id);
    const bytes = TABLE_CODECS[table].encode(value);
    this.#ops.set(key, leaseId === undefined ? { type: 'put', key, value: bytes } : { type: 'put', key, value: bytes, leaseId });
    this.#own.set(key, { table, id, value });
    this.#bytes += key.length + bytes.length;
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
