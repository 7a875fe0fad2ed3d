// The cluster's state in memory, fed from the store's watch in revision order, and ahead of it by this process's own commits.
import type { Clock } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { StoredSpec, Task } from '../../proto/index.ts';
import type { KeyValue, Revision, WatchEvent } from '../store/store.ts';
import { keyOf, parseKey, TABLE_PREFIXES, type TableName } from './keys.ts';
import type { StateView } from './state-view.ts';
import { type Change, type OwnWrite, type Row, TABLE_CODECS, type TableTypes } from './tables.ts';

type AnyRow = Row<TableTypes[TableName]>;

/** Where a row stands in its table and in the indexes: a change of the row itself moves nothing. */
interface Cell<T> {
  row: Row<T>;
}

type AnyCell = Cell<TableTypes[TableName]>;
type Index<T> = Map<string, Set<Cell<T>>>;

/** Called with all changes of one revision (or of one own commit), after they are in. Must not throw. */
export type ChangeListener = (changes: readonly Change[], revision: Revision) => void;

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
}

export class ClusterState implements StateView {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tables: ReadonlyMap<TableName, Map<string, AnyCell>>;
  readonly #tasksByService: Index<Task> = new Map();
  readonly #tasksByNode: Index<Task> = new Map();
  readonly #specsByService: Index<StoredSpec> = new Map();
  /** Deletions applied ahead of the watch: an event that is not newer must not bring the row back. */
  readonly #deletedAhead = new Map<string, Revision>();
  readonly #listeners = new Set<ChangeListener>();
  readonly #waiters = new Set<Waiter>();
  #revision: Revision = 0;
  #loaded = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    this.#tables = new Map((Object.keys(TABLE_PREFIXES) as TableName[]).map((table) => [table, new Map<string, AnyCell>()]));
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** Whether there has been a snapshot: before, nothing here means anything. */
  get loaded(): boolean {
    return this.#loaded;
  }

  get<T extends TableName>(table: T, id: string): Row<TableTypes[T]> | undefined {
    return this.#cells(table).get(id)?.row;
  }

  all<T extends TableName>(table: T): Iterable<Row<TableTypes[T]>> {
    return rowsIn(this.#cells(table).values());
  }

  count(table: TableName): number {
    return this.#cells(table).size;
  }

  tasksOfService(serviceId: string): Iterable<Row<Task>> {
    return rowsIn(this.#tasksByService.get(serviceId) ?? []);
  }

  taskCountOfService(serviceId: string): number {
    return this.#tasksByService.get(serviceId)?.size ?? 0;
  }

  tasksOfNode(nodeId: string): Iterable<Row<Task>> {
    return rowsIn(this.#tasksByNode.get(nodeId) ?? []);
  }

  specsOfService(serviceId: string): Iterable<Row<StoredSpec>> {
    return rowsIn(this.#specsByService.get(serviceId) ?? []);
  }

  /** Calls `listener` for each change from now on; returns how to end that. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Resolves once everything up to `revision` is in; `unavailable` after `deadlineMs`. */
  reached(revision: Revision, deadlineMs: number): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(deadlineMs, () => {
        this.#waiters.delete(waiter);
        reject(
          new ShoalError(
            'unavailable',
            `this manager is behind: it has revision ${this.#revision}, ${revision} is needed; ask another manager or try again`,
          ),
        );
      });
      const waiter: Waiter = {
        revision,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** One whole revision from the watch, in order. */
  applyRevision(revision: Revision, events: readonly WatchEvent[]): void {
    const changes: Change[] = [];
    for (const event of events) {
      const change = event.type === 'put' ? this.#put(event.item) : this.#delete(event.key, event.modRevision);
      if (change !== undefined) changes.push(change);
    }
    this.#advance(revision, changes);
  }

  /** Nothing happened below the prefix up to this revision. */
  applyProgress(revision: Revision): void {
    this.#advance(revision, []);
  }

  /** The whole state at a revision: at the start, or after compacted history. Rows that are not in it are deleted. */
  applySnapshot(revision: Revision, items: readonly KeyValue[]): void {
    const changes: Change[] = [];
    const present = new Set(items.map((item) => item.key));
    for (const cells of this.#tables.values()) {
      for (const { row } of [...cells.values()]) {
        if (present.has(row.key) || row.modRevision > revision) continue;
        const change = this.#delete(row.key, revision);
        if (change !== undefined) changes.push(change);
      }
    }
    for (const item of items) {
      const change = this.#put(item);
      if (change !== undefined) changes.push(change);
    }
    this.#loaded = true;
    this.#advance(revision, changes);
  }

  /** What this process committed at `revision`, before the watch brings it. */
  applyOwn(revision: Revision, writes: Iterable<OwnWrite>): void {
    if (revision <= this.#revision) return;
    const changes: Change[] = [];
    for (const { table, id, value } of writes) {
      const change = value === undefined ? this.#deleteOwn(table, id, revision) : this.#putOwn(table, id, value, revision);
      if (change !== undefined) changes.push(change);
    }
    this.#notify(changes, revision);
  }

  #cells<T extends TableName>(table: T): Map<string, Cell<TableTypes[T]>> {
    return this.#tables.get(table) as Map<string, Cell<TableTypes[T]>>;
  }

  #putOwn(table: TableName, id: string, value: TableTypes[TableName], revision: Revision): Change | undefined {
    const cell = this.#cells(table).get(id);
    if (cell !== undefined && cell.row.modRevision >= revision) return undefined;
    const { key, createRevision } = cell?.row ?? { key: keyOf(table, id), createRevision: revision };
    return this.#set(table, cell, { id, key, value, createRevision, modRevision: revision });
  }

  #deleteOwn(table: TableName, id: string, revision: Revision): Change | undefined {
    const key = keyOf(table, id);
    this.#deletedAhead.set(key, revision);
    return this.#delete(key, revision);
  }

  #put(item: KeyValue): Change | undefined {
    const { key, createRevision, modRevision } = item;
    const parsed = parseKey(key);
    if (parsed === undefined) return undefined;
    const { table, id } = parsed;
    const cell = this.#cells(table).get(id);
    if (cell !== undefined && cell.row.modRevision >= modRevision) return undefined;
    if ((this.#deletedAhead.get(key) ?? 0) >= modRevision) return undefined;
    const value = this.#decode(table, item);
    return value && this.#set(table, cell, { id, key, value, createRevision, modRevision });
  }

  #set(table: TableName, present: AnyCell | undefined, after: AnyRow): Change {
    const before = present?.row;
    const cell: AnyCell = present ?? { row: after };
    cell.row = after;
    if (present === undefined) (this.#cells(table) as Map<string, AnyCell>).set(after.id, cell);
    this.#index(table, cell, before, after);
    return { table, id: after.id, before, after } as Change;
  }

  #delete(key: string, revision: Revision): Change | undefined {
    const parsed = parseKey(key);
    if (parsed === undefined) return undefined;
    const { table, id } = parsed;
    const cells: Map<string, AnyCell> = this.#cells(table);
    const cell = cells.get(id);
    if (cell === undefined || cell.row.modRevision > revision) return undefined;
    cells.delete(id);
    this.#index(table, cell, cell.row, undefined);
    return { table, id, before: cell.row, after: undefined } as Change;
  }

  #decode(table: TableName, item: KeyValue): TableTypes[TableName] | undefined {
    try {
      return TABLE_CODECS[table].decode(item.value);
    } catch (error) {
      this.#log.error('a stored value cannot be read and is passed over', { key: item.key, reason: messageOf(error) });
      return undefined;
    }
  }

  #index(table: TableName, cell: AnyCell, before: AnyRow | undefined, after: AnyRow | undefined): void {
    if (table === 'tasks') {
      const was = before?.value as Task | undefined;
      const is = after?.value as Task | undefined;
      reindex(this.#tasksByService, cell as Cell<Task>, was?.serviceId, is?.serviceId);
      reindex(this.#tasksByNode, cell as Cell<Task>, was?.nodeId, is?.nodeId);
    } else if (table === 'specs') {
      const was = before?.value as StoredSpec | undefined;
      const is = after?.value as StoredSpec | undefined;
      reindex(this.#specsByService, cell as Cell<StoredSpec>, was?.serviceId, is?.serviceId);
    }
  }

  #advance(revision: Revision, changes: readonly Change[]): void {
    if (revision > this.#revision) this.#revision = revision;
    for (const [key, deletedAt] of this.#deletedAhead) {
      if (deletedAt <= this.#revision) this.#deletedAhead.delete(key);
    }
    this.#notify(changes, revision);
    for (const waiter of this.#waiters) {
      if (waiter.revision > this.#revision) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #notify(changes: readonly Change[], revision: Revision): void {
    for (const listener of this.#listeners) listener(changes, revision);
  }
}

function* rowsIn<T>(cells: Iterable<Cell<T>>): Generator<Row<T>> {
  for (const cell of cells) yield cell.row;
}

/** Moves a cell within an index; an empty key (a task without node) is not indexed. */
function reindex<T>(index: Index<T>, cell: Cell<T>, was = '', is = ''): void {
  if (was === is) return;
  if (was !== '') {
    const cells = index.get(was);
    cells?.delete(cell);
    if (cells?.size === 0) index.delete(was);
  }
  if (is === '') return;
  const cells = index.get(is);
  if (cells === undefined) index.set(is, new Set([cell]));
  else cells.add(cell);
}
