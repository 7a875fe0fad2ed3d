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
type Rows<T> = Map<string, Row<T>>;

/** Called with all changes of one revision (or of one own commit), after they are in. Must not throw. */
export type ChangeListener = (changes: readonly Change[], revision: Revision) => void;

interface Waiter {
  readonly revision: Revision;
  readonly resolve: () => void;
}

const NO_ROWS: Rows<never> = new Map();

export class ClusterState implements StateView {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tables: ReadonlyMap<TableName, Map<string, AnyRow>>;
  readonly #tasksByService = new Map<string, Rows<Task>>();
  readonly #tasksByNode = new Map<string, Rows<Task>>();
  readonly #specsByService = new Map<string, Rows<StoredSpec>>();
  /** Deletions applied ahead of the watch: an event that is not newer must not bring the row back. */
  readonly #deletedAhead = new Map<string, Revision>();
  readonly #listeners = new Set<ChangeListener>();
  readonly #waiters = new Set<Waiter>();
  #revision: Revision = 0;
  #loaded = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    this.#tables = new Map((Object.keys(TABLE_PREFIXES) as TableName[]).map((table) => [table, new Map<string, AnyRow>()]));
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** Whether there has been a snapshot: before, nothing here means anything. */
  get loaded(): boolean {
    return this.#loaded;
  }

  get<T extends TableName>(table: T, id: string): Row<TableTypes[T]> | undefined {
    return this.#rows(table).get(id);
  }

  all<T extends TableName>(table: T): Iterable<Row<TableTypes[T]>> {
    return this.#rows(table).values();
  }

  count(table: TableName): number {
    return this.#rows(table).size;
  }

  tasksOfService(serviceId: string): Iterable<Row<Task>> {
    return (this.#tasksByService.get(serviceId) ?? NO_ROWS).values();
  }

  tasksOfNode(nodeId: string): Iterable<Row<Task>> {
    return (this.#tasksByNode.get(nodeId) ?? NO_ROWS).values();
  }

  specsOfService(serviceId: string): Iterable<Row<StoredSpec>> {
    return (this.#specsByService.get(serviceId) ?? NO_ROWS).values();
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
    for (const [table, rows] of this.#tables) {
      for (const row of [...rows.values()]) {
        const key = TABLE_PREFIXES[table] + row.id;
        if (present.has(key) || row.modRevision > revision) continue;
        const change = this.#delete(key, revision);
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

  #rows<T extends TableName>(table: T): Map<string, Row<TableTypes[T]>> {
    return this.#tables.get(table) as Map<string, Row<TableTypes[T]>>;
  }

  #putOwn(table: TableName, id: string, value: TableTypes[TableName], revision: Revision): Change | undefined {
    const before = this.#rows(table).get(id);
    if (before !== undefined && before.modRevision >= revision) return undefined;
    return this.#set(table, before, { id, value, createRevision: before?.createRevision ?? revision, modRevision: revision });
  }

  #deleteOwn(table: TableName, id: string, revision: Revision): Change | undefined {
    const key = keyOf(table, id);
    this.#deletedAhead.set(key, revision);
    return this.#delete(key, revision);
  }

  #put(item: KeyValue): Change | undefined {
    const parsed = parseKey(item.key);
    if (parsed === undefined) return undefined;
    const { table, id } = parsed;
    const before = this.#rows(table).get(id);
    if (before !== undefined && before.modRevision >= item.modRevision) return undefined;
    if ((this.#deletedAhead.get(item.key) ?? 0) >= item.modRevision) return undefined;
    const value = this.#decode(table, item);
    return value && this.#set(table, before, { id, value, createRevision: item.createRevision, modRevision: item.modRevision });
  }

  #set(table: TableName, before: AnyRow | undefined, after: AnyRow): Change {
    const rows: Map<string, AnyRow> = this.#rows(table);
    rows.set(after.id, after);
    this.#index(table, before, after);
    return { table, id: after.id, before, after } as Change;
  }

  #delete(key: string, revision: Revision): Change | undefined {
    const parsed = parseKey(key);
    if (parsed === undefined) return undefined;
    const { table, id } = parsed;
    const rows: Map<string, AnyRow> = this.#rows(table);
    const before = rows.get(id);
    if (before === undefined || before.modRevision > revision) return undefined;
    rows.delete(id);
    this.#index(table, before, undefined);
    return { table, id, before, after: undefined } as Change;
  }

  #decode(table: TableName, item: KeyValue): TableTypes[TableName] | undefined {
    try {
      return TABLE_CODECS[table].decode(item.value);
    } catch (error) {
      this.#log.error('a stored value cannot be read and is passed over', { key: item.key, reason: messageOf(error) });
      return undefined;
    }
  }

  #index(table: TableName, before: AnyRow | undefined, after: AnyRow | undefined): void {
    if (table === 'tasks') {
      const was = before as Row<Task> | undefined;
      const is = after as Row<Task> | undefined;
      reindex(this.#tasksByService, was?.value.serviceId, was, is?.value.serviceId, is);
      reindex(this.#tasksByNode, was?.value.nodeId, was, is?.value.nodeId, is);
    } else if (table === 'specs') {
      const was = before as Row<StoredSpec> | undefined;
      const is = after as Row<StoredSpec> | undefined;
      reindex(this.#specsByService, was?.value.serviceId, was, is?.value.serviceId, is);
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

/** Moves a row within an index; an empty key (a task without node) is not indexed. */
function reindex<T>(
  index: Map<string, Rows<T>>,
  oldKey: string | undefined,
  was: Row<T> | undefined,
  newKey: string | undefined,
  is: Row<T> | undefined,
): void {
  if (was !== undefined && oldKey !== newKey) {
    const rows = index.get(oldKey ?? '');
    rows?.delete(was.id);
    if (rows?.size === 0) index.delete(oldKey ?? '');
  }
  if (is === undefined || newKey === undefined || newKey === '') return;
  let rows = index.get(newKey);
  if (rows === undefined) {
    rows = new Map();
    index.set(newKey, rows);
  }
  rows.set(is.id, is);
}
